"""What tests of the embedder share: a provider that can be held up or made to fail, and a stub."""

import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from services.common.channel import channel_to
from services.common.server import serving
from services.embedder.__main__ import compose
from services.embedder.providers.base import Embedded, LaneLimits, Vectors
from services.embedder.providers.hashing import HashingProvider
from services.embedder.settings import EmbedderSettings
from services.embedder.spaces import Purpose
from vitrina.embedder.v1 import embedder_pb2 as pb
from vitrina.embedder.v1 import embedder_pb2_grpc

TEMPLATE = "${name}. ${description}"
MINILM_FOLDER = Path(compose.__code__.co_filename).parent / "models" / "all-MiniLM-L6-v2-int8"


def another_model(folder: Path, *, pooling: str = "cls") -> Path:
    """Make the folder a model of its own: the bundled weights, pooled in another way."""
    folder.mkdir(parents=True)
    for name in ("onnx", "tokenizer.json", "config.json"):
        (folder / name).symlink_to(MINILM_FOLDER / name)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(f'{{"pooling_mode": "{pooling}"}}')
    return folder


class ScriptedProvider(HashingProvider):
    """Hashing, which notes its calls, and before each of them does what `before` says."""

    def __init__(
        self,
        model: str = "scripted",
        *,
        lanes: Mapping[Purpose, LaneLimits] | None = None,
        before: Callable[[Sequence[str], Purpose, float], None] | None = None,
    ) -> None:
        super().__init__(document_template=TEMPLATE + model)
        self.lanes = lanes or {purpose: LaneLimits(workers=1, batch_texts=8) for purpose in Purpose}
        self.before = before or (lambda texts, purpose, timeout_seconds: None)
        self.calls: list[list[str]] = []
        # Cleared: calls wait in here until it is set.
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def embed_batch(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        self.calls.append(list(texts))
        self.may_go_on.wait(30)
        self.before(texts, purpose, timeout_seconds)
        return super().embed_batch(texts, purpose, timeout_seconds)


def hashed(texts: Sequence[str]) -> Vectors:
    """What a ScriptedProvider answers."""
    provider = HashingProvider(document_template=TEMPLATE)
    return provider.embed_batch(texts, Purpose.QUERY, 60).vectors


@asynccontextmanager
async def embedder_stub(
    settings: EmbedderSettings,
) -> AsyncIterator["embedder_pb2_grpc.EmbedderServiceAsyncStub"]:
    """The whole service over a real connection."""
    async with (
        serving(compose(settings)) as port,
        channel_to(f"127.0.0.1:{port}") as channel,
    ):
        yield embedder_pb2_grpc.EmbedderServiceStub(channel)


def settings_with(**values: Any) -> EmbedderSettings:
    """Settings of a test, whatever the environment says."""
    defaults: dict[str, Any] = {"listen": "127.0.0.1:0", "grace_seconds": 0.2}
    return EmbedderSettings(**({"google_api_key": None} | defaults | values))


def vectors_of(response: pb.EmbedResponse) -> Vectors:
    """Unpack the vectors of a response."""
    return np.frombuffer(response.vectors, dtype="<f4").reshape(-1, response.dimensions)
