"""Wires and runs the embedder: `python -m services.embedder`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from services.common.server import Service, run
from services.common.settings import load
from services.embedder.embedding import Embedder, ProviderFactory
from services.embedder.providers.base import Provider
from services.embedder.servicer import EmbedderServicer
from services.embedder.settings import EmbedderSettings
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc

# Each provider imports its technology only when it is wanted: an environment
# without google-generativeai, or without onnxruntime, runs the others.


def _gemini(settings: EmbedderSettings) -> Provider:
    from services.embedder.providers.gemini import GeminiProvider
    from services.embedder.providers.guarded import Guarded

    if settings.google_api_key is None:
        raise ValueError("gemini needs a key")
    return Guarded(
        GeminiProvider(
            api_key=settings.google_api_key.get_secret_value().strip(),
            model=settings.gemini_model,
            dimensions=settings.gemini_dimensions,
            document_template=settings.document_template,
            endpoint=settings.gemini_endpoint,
            transport=settings.gemini_transport,
        ),
        max_attempts=settings.gemini_max_attempts,
        attempt_timeout_seconds=settings.gemini_attempt_timeout_seconds,
        circuit_failures=settings.gemini_circuit_failures,
        circuit_pause_seconds=settings.gemini_circuit_pause_seconds,
    )


def _local(
    settings: EmbedderSettings, folder: Path, query_prefix: str, document_prefix: str
) -> Provider:
    from services.embedder.providers.minilm import MiniLMProvider

    return MiniLMProvider(
        folder,
        document_template=settings.document_template,
        query_prefix=query_prefix,
        document_prefix=document_prefix,
        query_workers=settings.query_workers,
        document_workers=settings.document_workers,
    )


def _hashing(settings: EmbedderSettings) -> Provider:
    from services.embedder.providers.hashing import HashingProvider

    return HashingProvider(document_template=settings.document_template)


def _factories(settings: EmbedderSettings) -> Mapping[str, ProviderFactory]:
    """Return what makes each provider, the most preferred first."""
    factories: dict[str, ProviderFactory] = {}
    for name in settings.providers:
        if name == "gemini" and settings.google_api_key is not None:
            factories[name] = partial(_gemini, settings)
        elif name == "minilm":
            for model in settings.models:
                factories[f"{name} {model[0]}"] = partial(_local, settings, *model)
        elif name == "hashing":
            factories[name] = partial(_hashing, settings)
    return factories


def compose(settings: EmbedderSettings) -> Service:
    """Return the process, wired but not yet open."""
    embedder = Embedder(
        _factories(settings),
        max_waiting_texts=settings.max_waiting_texts,
        default_timeout_seconds=settings.default_timeout_seconds,
    )
    servicer = EmbedderServicer(embedder)
    return Service(
        name="embedder",
        listen=settings.listen,
        service_names=[embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name],
        registrations=[partial(embedder_pb2_grpc.add_EmbedderServiceServicer_to_server, servicer)],
        adapters=[embedder],
        grace_seconds=settings.grace_seconds,
    )


if __name__ == "__main__":
    settings = load(EmbedderSettings)
    run(lambda: compose(settings), settings, "embedder")
