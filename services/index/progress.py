"""How far a collection is, and what is left of its work."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.index.model import Stall

# The rule of thumb of the providers of models, for European languages.
_CHARACTERS_PER_TOKEN = 4
# What was longer ago counts less and less.
_MEMORY_SECONDS = 60.0


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a model makes of a text: a fourth of its characters."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


class Pace:
    """Documents a second, of late, while there was something to embed.

    Waiting for an embedder that is away, or out of quota, counts as time too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._documents = 0.0
        self._seconds = 0.0
        self._at_work = 0
        self._since = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count the time of the block, once where several run at a time."""
        if not self._at_work:
            self._since = self._clock()
        self._at_work += 1
        try:
            yield
        finally:
            self._take_time()
            self._at_work -= 1

    def embedded(self, documents: int) -> None:
        """Count documents."""
        self._take_time()
        self._documents += documents
        if self._seconds > _MEMORY_SECONDS:
            self._seconds /= 2
            self._documents /= 2

    def seconds_for(self, documents: int) -> float:
        """Return how long so many take at this pace; -1 while nothing is known of it."""
        if not documents:
            return 0.0
        self._take_time()
        return documents * self._seconds / self._documents if self._documents else -1.0

    def _take_time(self) -> None:
        if self._at_work:
            now = self._clock()
            self._seconds += now - self._since
            self._since = now


@dataclass
class Progress:
    """What the follower of a collection tells of itself. Counts since the process began."""

    # Whether the embedder has the space, as far as is known.
    is_followed: bool = False
    head_revision: int = 0
    # The changes up to here have been looked at: their texts are known.
    planned_revision: int = 0
    embedded_documents: int = 0
    embedded_tokens: int = 0
    unchanged_documents: int = 0
    truncated_documents: int = 0
    # Products that are left out, because the embedder refuses their text.
    refused_documents: int = 0
    is_catalog_away: bool = False
    # As embedding finds the embedder, and as asking it for its spaces does.
    embedder_stall: Stall = Stall.NONE
    spaces_stall: Stall = Stall.NONE
    pace: Pace = field(default_factory=Pace)
    # Texts whose vectors are under way.
    _waiting_documents: int = 0
    _waiting_tokens: int = 0
    # All texts that were looked at, for their mean length.
    _seen_documents: int = 0
    _seen_tokens: int = 0

    @property
    def stalled_by(self) -> Stall:
        """What the collection waits for."""
        if self.is_catalog_away:
            return Stall.CATALOG
        return self.embedder_stall if self.embedder_stall is not Stall.NONE else self.spaces_stall

    def begin(self, revision: int) -> None:
        """Note that the changes after a revision are to be looked at, from now on."""
        self.planned_revision = revision
        self._waiting_documents = self._waiting_tokens = 0

    def planned(self, revision: int, texts: Sequence[str]) -> None:
        """Note that the changes up to a revision need these texts embedded."""
        tokens = sum(map(estimated_tokens, texts))
        self.planned_revision = revision
        self._waiting_documents += len(texts)
        self._waiting_tokens += tokens
        self._seen_documents += len(texts)
        self._seen_tokens += tokens

    def embedded(self, texts: Sequence[str]) -> None:
        """Note that texts have vectors."""
        self.pace.embedded(len(texts))
        self.embedded_documents += len(texts)
        self.embedded_tokens += sum(map(estimated_tokens, texts))
        self._no_longer_waiting(texts)

    def refused(self, text: str) -> None:
        """Note that a text will never have a vector."""
        self._no_longer_waiting([text])

    def _no_longer_waiting(self, texts: Sequence[str]) -> None:
        self._waiting_documents -= len(texts)
        self._waiting_tokens -= sum(map(estimated_tokens, texts))

    @property
    def pending_documents(self) -> int:
        """Texts that are left to embed, at most: a change that was not looked at may need none."""
        return self._waiting_documents + self._unseen_changes

    @property
    def pending_tokens(self) -> int:
        """The tokens of these, where a text is not known by the mean of those that are."""
        mean = self._seen_tokens / self._seen_documents if self._seen_documents else 0.0
        return self._waiting_tokens + round(mean * self._unseen_changes)

    @property
    def pending_seconds(self) -> float:
        """How long these take at the present pace; -1 while that is not known."""
        return self.pace.seconds_for(self.pending_documents)

    @property
    def _unseen_changes(self) -> int:
        return max(0, self.head_revision - self.planned_revision)
