"""A sentence-transformers folder with an ONNX model: what its files say."""

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from services.embedder.providers.base import ProviderUnusable

CHECKSUMS = "SHA256SUMS"
# What sentence-transformers takes where the folder has no limit.
_DEFAULT_MAX_TOKENS = 512


class Pooling(Enum):
    """How the vectors of the tokens become one of the text."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"


@dataclass(frozen=True)
class ModelFolder:
    """The parts of a model. Reading it raises ProviderUnusable where one is missing or damaged."""

    name: str
    onnx_path: Path
    tokenizer_path: Path
    # SHA-256 over weights and vocabulary.
    revision: str
    pooling: Pooling
    max_tokens: int
    pad_token_id: int


def read_model_folder(folder: Path) -> ModelFolder:
    """Read the folder and check it against its SHA256SUMS, if it has them."""
    folder = folder.resolve()
    onnx_path = next(
        (path for path in (folder / "onnx/model.onnx", folder / "model.onnx") if path.is_file()),
        None,
    )
    tokenizer_path = folder / "tokenizer.json"
    if onnx_path is None or not tokenizer_path.is_file():
        missing = "tokenizer.json" if onnx_path else "model.onnx"
        raise ProviderUnusable(f"{folder}: no {missing}")
    try:
        digests = _checked_digests(folder)
        return ModelFolder(
            name=folder.name,
            onnx_path=onnx_path,
            tokenizer_path=tokenizer_path,
            revision=_revision(onnx_path, tokenizer_path, digests),
            pooling=_pooling(folder),
            max_tokens=_max_tokens(folder),
            pad_token_id=int(_json(folder / "config.json").get("pad_token_id") or 0),
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ProviderUnusable(f"{folder}: cannot be read: {error}") from error


def _checked_digests(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every file that SHA256SUMS names, all of them as it says."""
    digests: dict[Path, str] = {}
    sums = folder / CHECKSUMS
    if not sums.is_file():
        return digests
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.strip().partition(" ")
        path = folder / name.strip().removeprefix("*")
        if not name:
            continue
        if not path.is_file():
            raise ProviderUnusable(f"{folder}: no {path.name}, which {CHECKSUMS} names")
        digests[path] = _sha256(path)
        if digests[path] != expected.lower():
            raise ProviderUnusable(f"{folder}: {path.name} is damaged: not as {CHECKSUMS} says")
    return digests


def _revision(onnx_path: Path, tokenizer_path: Path, digests: dict[Path, str]) -> str:
    # Large models keep their weights beside the graph, as model.onnx_data.
    weights = sorted(onnx_path.parent.glob(f"{onnx_path.name}*"))
    parts = [digests.get(path) or _sha256(path) for path in (*weights, tokenizer_path)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pooling(folder: Path) -> Pooling:
    settings = _json(folder / "1_Pooling/config.json")
    named = settings.get("pooling_mode")
    modes = {
        Pooling.MEAN: "pooling_mode_mean_tokens",
        Pooling.CLS: "pooling_mode_cls_token",
        Pooling.MAX: "pooling_mode_max_tokens",
    }
    chosen = [mode for mode, key in modes.items() if settings.get(key) or named == mode.value]
    others = [
        key
        for key, value in settings.items()
        if key.startswith("pooling_mode_") and value and key not in modes.values()
    ]
    if len(chosen) > 1 or others or (settings and not chosen):
        raise ProviderUnusable(f"{folder}: its pooling is not one of mean, cls, max")
    return chosen[0] if chosen else Pooling.MEAN


def _max_tokens(folder: Path) -> int:
    of_pipeline = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    of_model = _json(folder / "config.json").get("max_position_embeddings")
    return int(of_pipeline or of_model or _DEFAULT_MAX_TOKENS)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is not an object")
    return content
