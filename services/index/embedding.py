"""Texts to vectors of one space, however long the embedder takes to give them."""

import asyncio
from collections.abc import Sequence

import numpy as np

from services.common.errors import (
    DeadlineExceeded,
    InvalidArgument,
    Overloaded,
    Unavailable,
    VitrinaError,
)
from services.common.telemetry import get_logger
from services.index.backoff import Backoff
from services.index.model import (
    UNIT_TOLERANCE,
    Embedder,
    Embedding,
    Matrix,
    Space,
    Stall,
    Vector,
)
from services.index.progress import Progress

log = get_logger()

# The embedder takes 256. One call of Gemini takes 100: a call that is embedded as a whole or
# not at all costs nothing twice when quota runs out, and a kill costs little.
MAX_TEXTS_PER_CALL = 100
# Of text in one call: a quarter of what a message may have.
MAX_BYTES_PER_CALL = 4 * 1024 * 1024
# So that the embedder never waits for us, nor its queue fills up.
MAX_CALLS = 3

_SECONDS_PER_CALL = 15.0
_SECONDS_PER_TEXT = 0.3
# A text that fails as often, while another does not, is the cause itself.
_MAX_FAILURES_OF_A_TEXT = 5
_HARMLESS_TEXT = "product"


class WrongAnswer(Exception):
    """The embedder answered with something that is not the vectors asked for."""


class DocumentEmbedder:
    """Embeds documents in one space; what cannot be had now is tried until it can."""

    def __init__(self, embedder: Embedder, space: Space, progress: Progress) -> None:
        self._embedder = embedder
        self._space = space
        self._progress = progress
        self._calls = asyncio.Semaphore(MAX_CALLS)

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return a vector of length 1 for each text; None where the text is refused for good."""
        vectors: list[Vector | None] = []
        with self._progress.pace.working():
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(self._part(part)) for part in _parts(texts)]
        for part in parts:
            vectors += part.result()
        return vectors

    async def _part(self, texts: Sequence[str]) -> list[Vector | None]:
        if texts == [""]:
            self._progress.refused("")
            return [None]  # nothing to embed
        backoff = Backoff()
        while True:
            try:
                async with self._calls:
                    vectors = await self._call(texts)
                self._progress.embedded(texts)
                return [*vectors]
            except Exception as error:
                self._note(error)
                failure = error
            if len(texts) > 1 and _is_for_fewer_texts(failure):
                # those that can be embedded are, and the one that cannot stands alone
                middle = len(texts) // 2
                return [*await self._part(texts[:middle]), *await self._part(texts[middle:])]
            if len(texts) == 1 and await self._is_its_own_fault(failure, backoff.attempts):
                self._progress.refused(texts[0])
                return [None]
            await backoff.wait()

    async def _call(self, texts: Sequence[str]) -> Matrix:
        answer = await self._embedder.embed(
            self._space.id,
            texts,
            timeout_seconds=_SECONDS_PER_CALL + _SECONDS_PER_TEXT * len(texts),
        )
        vectors = checked_vectors(answer, self._space, len(texts))
        self._progress.truncated_documents += answer.truncated_texts
        self._stalled_by(Stall.NONE)
        return vectors

    async def _is_its_own_fault(self, error: Exception, attempts: int) -> bool:
        """Whether a single text fails by what it is, not by what the embedder is at now."""
        if _is_refusal_of_texts(error):
            return True
        if not _may_be_a_text(error) or attempts < _MAX_FAILURES_OF_A_TEXT:
            return False
        try:
            await self._call([_HARMLESS_TEXT])
        except Exception as other:
            self._note(other)
            return False
        return True

    def _note(self, error: Exception) -> None:
        if isinstance(error, Overloaded) or _is_refusal_of_texts(error):
            self._stalled_by(Stall.NONE)  # it answers, so it is there
            return
        stall = (
            Stall.EMBEDDER
            if isinstance(error, Unavailable | DeadlineExceeded)
            and error.reason in ("UPSTREAM_UNAVAILABLE", "NOT_SERVING", "DEADLINE_EXCEEDED")
            else Stall.SPACE
        )
        if not isinstance(error, VitrinaError | WrongAnswer):
            log.error("embedding failed", space=self._space.id, exc_info=error)
        self._stalled_by(stall, error)

    def _stalled_by(self, stall: Stall, error: Exception | None = None) -> None:
        before, self._progress.embedder_stall = self._progress.embedder_stall, stall
        if before is not stall:
            event = "embedding goes on" if stall is Stall.NONE else "embedding stalled"
            log.warning(event, space=self._space.id, by=stall.value, problem=str(error or ""))


def checked_vectors(answer: Embedding, space: Space, count: int) -> Matrix:
    """Return the answer's vectors, count x dimensions; WrongAnswer if it is not that."""
    if answer.space != space.id:
        raise WrongAnswer(f"vectors of space {answer.space}")
    if answer.dimensions != space.dimensions:
        raise WrongAnswer(f"{answer.dimensions} dimensions, not {space.dimensions}")
    expected_bytes = 4 * count * space.dimensions
    if len(answer.vectors) != expected_bytes:
        raise WrongAnswer(f"{len(answer.vectors)} bytes of vectors, not {expected_bytes}")
    vectors = np.frombuffer(answer.vectors, dtype="<f4").reshape(count, space.dimensions)
    if not np.isfinite(vectors).all():
        raise WrongAnswer("vectors that are not finite")
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not np.allclose(lengths, 1.0, rtol=0, atol=UNIT_TOLERANCE):
        raise WrongAnswer("vectors that are not of length 1")
    return vectors


def _parts(texts: Sequence[str]) -> list[list[str]]:
    """Split into what goes into one call each; an empty text stands alone."""
    parts: list[list[str]] = []
    part_bytes = 0
    for text in texts:
        text_bytes = len(text.encode())
        is_full = (
            not parts
            or len(parts[-1]) >= MAX_TEXTS_PER_CALL
            or part_bytes + text_bytes > MAX_BYTES_PER_CALL
            or not text
            or parts[-1] == [""]
        )
        if is_full:
            parts.append([])
            part_bytes = 0
        parts[-1].append(text)
        part_bytes += text_bytes
    return parts


def _is_refusal_of_texts(error: Exception) -> bool:
    return isinstance(error, InvalidArgument) and error.field.startswith("texts")


def _may_be_a_text(error: Exception) -> bool:
    """A defect that a text can bring about, beside the embedder itself."""
    return isinstance(error, WrongAnswer) or (
        isinstance(error, VitrinaError) and error.reason == "INTERNAL"
    )


def _is_for_fewer_texts(error: Exception) -> bool:
    return (
        _is_refusal_of_texts(error) or _may_be_a_text(error) or isinstance(error, DeadlineExceeded)
    )
