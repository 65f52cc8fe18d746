"""Texts into vectors of the first acceptable space that works in time."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from services.common import deadlines
from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from services.common.telemetry import get_logger
from services.embedder.batching import Queue
from services.embedder.providers.base import Provider, ProviderError, ProviderUnusable, Vectors
from services.embedder.spaces import Purpose, SkipReason, Space
from services.embedder.traffic import QueryTraffic

log = get_logger()

MAX_TEXTS = 256
MAX_TEXT_CHARACTERS = 100_000
MAX_SPACES = 32

# Of what is left of the deadline, while another space can still follow.
_SHARE_OF_ONE_SPACE = 0.6

# The event loop's timers are early by up to a millisecond.
_TIMER_SLACK_SECONDS = 0.002

ProviderFactory = Callable[[], Provider]


@dataclass(frozen=True)
class SkippedSpace:
    """A preferred space that was passed over."""

    space_id: str
    reason: SkipReason


@dataclass(frozen=True)
class EmbeddedTexts:
    """Vectors [n, dimensions] of length 1, row by row in the order of the texts."""

    space: Space
    vectors: Vectors
    truncated_texts: int
    skipped: Sequence[SkippedSpace]


@dataclass(frozen=True)
class SpaceStatus:
    """A space of this embedder, and whether its provider fails at the moment."""

    space: Space
    is_failing: bool


class Embedder:
    """The providers that could be opened, in order of preference.

    Opening it raises ProviderUnusable when not one could.
    """

    def __init__(
        self,
        factories: Mapping[str, ProviderFactory],
        *,
        max_waiting_texts: int,
        default_timeout_seconds: float,
    ) -> None:
        self._factories = factories
        self._max_waiting_texts = max_waiting_texts
        self._default_timeout_seconds = default_timeout_seconds
        self._traffic = QueryTraffic()
        self._queues: dict[str, Queue] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        problems: list[str] = []
        async with AsyncExitStack() as stack:
            for name, make in self._factories.items():
                try:
                    await self._open(make, stack)
                except Exception as error:
                    is_ours = isinstance(error, ProviderUnusable)
                    problem = str(error) if is_ours else type(error).__name__
                    log.error("provider left out", provider=name, problem=problem)
                    problems.append(f"{name} ({problem})")
            if not self._queues:
                tried = ", ".join(problems) or "none is configured"
                raise ProviderUnusable(f"no provider could be opened: {tried}")
            self._stack = stack.pop_all()
        return self

    async def _open(self, make: ProviderFactory, stack: AsyncExitStack) -> None:
        # In a thread, because it imports what the provider needs.
        provider = await asyncio.to_thread(make)
        async with AsyncExitStack() as own:
            queue = await own.enter_async_context(
                Queue(provider, max_waiting_texts=self._max_waiting_texts, traffic=self._traffic)
            )
            space = provider.space
            if space.id in self._queues:
                raise ProviderUnusable(f"space {space.id} is there already")
            await stack.enter_async_context(own.pop_all())
        self._queues[space.id] = queue
        log.info("space opened", space=space.id, max_tokens=space.max_tokens)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def spaces(self) -> list[SpaceStatus]:
        """Return the spaces, the most preferred first."""
        providers = [queue.provider for queue in self._queues.values()]
        return [SpaceStatus(provider.space, provider.is_failing) for provider in providers]

    async def embed(
        self, texts: Sequence[str], acceptable: Sequence[str], purpose: Purpose
    ) -> EmbeddedTexts:
        """Embed all texts in one of the acceptable spaces; none given means all.

        A space fails, and the next one is tried, also when its queue is full or
        its share of the deadline is used up. Raises InvalidArgument,
        FailedPrecondition (SPACE_UNKNOWN), Unavailable (SPACES_UNAVAILABLE, with
        the reason per space), Overloaded, DeadlineExceeded.
        """
        _check(texts, acceptable)
        give_up_at = time.monotonic() + deadlines.remaining_seconds(self._default_timeout_seconds)
        preferred = list(dict.fromkeys(acceptable)) or list(self._queues)
        known = [space_id for space_id in preferred if space_id in self._queues]
        if not known:
            raise FailedPrecondition(
                f"spaces: none of the {len(preferred)} exists here", reason="SPACE_UNKNOWN"
            )
        skipped: list[SkippedSpace] = []
        overload: Overloaded | None = None
        for space_id in preferred:
            queue = self._queues.get(space_id)
            if queue is None:
                skipped.append(SkippedSpace(space_id, SkipReason.UNKNOWN_SPACE))
                continue
            left_seconds = give_up_at - time.monotonic()
            share = 1.0 if space_id == known[-1] else _SHARE_OF_ONE_SPACE
            try:
                embedded = await queue.embed(texts, purpose, max(0.0, left_seconds * share))
            except Overloaded as error:
                overload = error
                reason = SkipReason.TIMEOUT
            except ProviderError as error:
                reason = error.skip_reason
            else:
                return EmbeddedTexts(
                    queue.provider.space,
                    embedded.vectors,
                    int(embedded.is_truncated.sum()),
                    skipped,
                )
            log.debug("space passed over", space=space_id, reason=reason.value)
            skipped.append(SkippedSpace(space_id, reason))
        if overload is not None:
            raise overload
        causes = {each.space_id: each.reason.value for each in skipped}
        if give_up_at - time.monotonic() < _TIMER_SLACK_SECONDS:
            raise DeadlineExceeded("no space answered in time", metadata=causes)
        raise Unavailable(
            f"none of {len(known)} spaces works now",
            reason="SPACES_UNAVAILABLE",
            metadata=causes,
        )


def _check(texts: Sequence[str], acceptable: Sequence[str]) -> None:
    if not texts:
        raise InvalidArgument("texts", f"none given, at least 1 and at most {MAX_TEXTS}")
    if len(texts) > MAX_TEXTS:
        raise InvalidArgument("texts", f"{len(texts)} given, at most {MAX_TEXTS}")
    for position, text in enumerate(texts):
        if not text:
            raise InvalidArgument(f"texts[{position}]", "empty")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidArgument(
                f"texts[{position}]", f"{len(text)} characters, at most {MAX_TEXT_CHARACTERS}"
            )
    if len(acceptable) > MAX_SPACES:
        raise InvalidArgument("spaces", f"{len(acceptable)} given, at most {MAX_SPACES}")
    for position, space_id in enumerate(acceptable):
        if not space_id:
            raise InvalidArgument(f"spaces[{position}]", "empty")
