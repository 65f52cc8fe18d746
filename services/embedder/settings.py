"""Settings of the embedder."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from services.common.settings import Address, ServiceSettings
from services.embedder.spaces import checked_template

ProviderName = Literal["gemini", "minilm", "hashing"]

_BUNDLED_MODEL = Path(__file__).parent / "models" / "all-MiniLM-L6-v2-int8"
_MAX_PREFIX_CHARACTERS = 200


def _cores() -> int:
    """Return how many this process may use, which in a container can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _names(text: object) -> object:
    return [name.strip() for name in text.split(",")] if isinstance(text, str) else text


def _distinct(names: tuple[ProviderName, ...]) -> tuple[ProviderName, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names a provider twice")
    return names


def _folders(text: object) -> object:
    if not isinstance(text, str):
        return text
    return [folder for folder in text.split(os.pathsep) if folder.strip()]


def _model_folders(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Check that one at least holds a model: the others may be on a disk that is not there now."""
    if len(set(folders)) < len(folders):
        raise ValueError("names a folder twice")
    models = (folder / place for folder in folders for place in ("onnx/model.onnx", "model.onnx"))
    if not any(model.is_file() for model in models):
        raise ValueError("must be a folder with onnx/model.onnx or model.onnx")
    return folders


def _prefixes(text: object) -> object:
    return text.split("|") if isinstance(text, str) else text


# One for each model folder, in the same order; those that are not there are empty.
Prefixes = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_prefixes)]


class EmbedderSettings(ServiceSettings):
    """What the embedder reads from the environment."""

    listen: Address = Field("127.0.0.1:50051", alias="VITRINA_EMBEDDER_LISTEN")
    # In order of preference. Gemini takes part only where there is a key.
    providers: Annotated[
        tuple[ProviderName, ...], NoDecode, BeforeValidator(_names), AfterValidator(_distinct)
    ] = Field(("gemini", "minilm"), alias="VITRINA_EMBEDDER_PROVIDERS", min_length=1)
    document_template: Annotated[str, AfterValidator(checked_template)] = Field(
        "${name}. ${brand}. ${category}. ${description}", alias="VITRINA_DOCUMENT_TEMPLATE"
    )
    max_waiting_texts: int = Field(
        4_096, alias="VITRINA_EMBEDDER_MAX_WAITING_TEXTS", ge=256, le=1_000_000
    )
    # For calls whose caller sets no deadline.
    default_timeout_seconds: float = Field(
        60.0, alias="VITRINA_EMBEDDER_DEFAULT_TIMEOUT_SECONDS", gt=0, le=3_600
    )

    # In order of preference, as PATH is written: the others are standbys of the first.
    model_dirs: Annotated[
        tuple[Path, ...], NoDecode, BeforeValidator(_folders), AfterValidator(_model_folders)
    ] = Field((_BUNDLED_MODEL,), alias="VITRINA_MODEL_DIR", max_length=8)
    model_query_prefixes: Prefixes = Field((), alias="VITRINA_MODEL_QUERY_PREFIX")
    model_document_prefixes: Prefixes = Field((), alias="VITRINA_MODEL_DOCUMENT_PREFIX")
    query_workers: int = Field(2, alias="VITRINA_EMBEDDER_QUERY_WORKERS", ge=1, le=256)
    document_workers: int = Field(
        default_factory=_cores, alias="VITRINA_EMBEDDER_DOCUMENT_WORKERS", ge=1, le=256
    )

    google_api_key: SecretStr | None = Field(None, alias="GOOGLE_API_KEY")
    gemini_model: str = Field(
        "gemini-embedding-001",
        alias="VITRINA_GEMINI_MODEL",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$",
    )
    gemini_dimensions: int = Field(768, alias="VITRINA_GEMINI_DIMENSIONS", ge=1, le=3_072)
    # Another address of the API: a proxy, or http://127.0.0.1:port for a test. Empty: Google's.
    gemini_endpoint: str = Field("", alias="VITRINA_GEMINI_ENDPOINT", max_length=500)
    gemini_transport: Literal["rest", "grpc"] = Field("rest", alias="VITRINA_GEMINI_TRANSPORT")
    gemini_max_attempts: int = Field(3, alias="VITRINA_GEMINI_MAX_ATTEMPTS", ge=1, le=10)
    gemini_attempt_timeout_seconds: float = Field(
        10.0, alias="VITRINA_GEMINI_ATTEMPT_TIMEOUT_SECONDS", gt=0, le=600
    )
    gemini_circuit_failures: int = Field(3, alias="VITRINA_GEMINI_CIRCUIT_FAILURES", ge=1, le=100)
    gemini_circuit_pause_seconds: float = Field(
        15.0, alias="VITRINA_GEMINI_CIRCUIT_PAUSE_SECONDS", gt=0, le=3_600
    )

    @field_validator("model_query_prefixes", "model_document_prefixes")
    @classmethod
    def _checked_prefixes(cls, prefixes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        folders = len(info.data.get("model_dirs", prefixes))
        if len(prefixes) > folders:
            raise ValueError(f"{len(prefixes)} prefixes for {folders} model folders")
        if any(len(prefix) > _MAX_PREFIX_CHARACTERS for prefix in prefixes):
            raise ValueError(f"a prefix has more than {_MAX_PREFIX_CHARACTERS} characters")
        return prefixes

    @property
    def models(self) -> Sequence[tuple[Path, str, str]]:
        """Return each model folder with its prefix for queries and that for documents."""
        count = len(self.model_dirs)
        query_prefixes = (*self.model_query_prefixes, *[""] * count)[:count]
        document_prefixes = (*self.model_document_prefixes, *[""] * count)[:count]
        return list(zip(self.model_dirs, query_prefixes, document_prefixes, strict=True))
