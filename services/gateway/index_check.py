"""How many of the products that are truly nearest the index finds, measured when somebody asks."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.common import deadlines
from services.common.errors import FailedPrecondition, InvalidArgument
from services.gateway.following import ReadySpaces
from services.gateway.ports import CheckedRecall, Embedder, Index
from services.gateway.queries import Filter, parse_space, parse_text

MAX_QUERIES = 1_000
MAX_K = 100
# Of callers who set no deadline: a scan of a million vectors for each of many queries.
CHECK_TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class Question:
    """What is to be measured, within limits; a number that is 0 is left to the index."""

    # Empty: the space that searches prefer.
    space: str
    # Empty: stored vectors are the queries, `sample` of them.
    texts: Sequence[str]
    sample: int
    k: int
    filter: Filter

    @classmethod
    def parse(
        cls, *, space: str, queries: Sequence[str], sample: int, k: int, filter_text: str
    ) -> "Question":
        """Return the question, or raise InvalidArgument (space, queries, sample, k, filter)."""
        if len(queries) > MAX_QUERIES:
            raise InvalidArgument("queries", f"{len(queries)} given, at most {MAX_QUERIES}")
        if not 0 <= sample <= MAX_QUERIES:
            raise InvalidArgument("sample", f"{sample} given, must be 1 to {MAX_QUERIES}")
        if sample and queries:
            raise InvalidArgument("sample", "goes without queries only")
        if not 0 <= k <= MAX_K:
            raise InvalidArgument("k", f"{k} given, must be 1 to {MAX_K}")
        return cls(
            parse_space(space),
            [parse_text(text, f"queries[{place}]") for place, text in enumerate(queries)],
            sample,
            k,
            Filter.parse(filter_text, ""),
        )


class IndexCheck:
    """Has the index compare what its searches find with an exact scan."""

    def __init__(self, embedder: Embedder, index: Index, spaces: ReadySpaces) -> None:
        self._embedder = embedder
        self._index = index
        self._spaces = spaces

    async def check(self, question: Question) -> CheckedRecall:
        """Measure in one space.

        FailedPrecondition: COLLECTION_NOT_READY where no space is ready, SPACE_MISMATCH
        where this one cannot answer, and those of Index.check_recall.
        """
        space = question.space or self._preferred()
        vectors = await self._embed(question.texts, space)
        return await self._index.check_recall(
            space,
            vectors=vectors,
            sample=question.sample,
            limit=question.k,
            filter_text=question.filter.text,
            timeout_seconds=deadlines.remaining_seconds(CHECK_TIMEOUT_SECONDS),
        )

    def _preferred(self) -> str:
        if not self._spaces.preferred:
            raise FailedPrecondition("space: none is ready", reason="COLLECTION_NOT_READY")
        return self._spaces.preferred

    async def _embed(self, texts: Sequence[str], space: str) -> bytes:
        """Return the vectors one after the other."""
        if texts:
            self._spaces.ensure_ready(space)
        # One at a time: the queries of searches come in between.
        return b"".join(
            [
                (
                    await self._embedder.embed_query(
                        text, [space], deadlines.remaining_seconds(CHECK_TIMEOUT_SECONDS)
                    )
                ).vector
                for text in texts
            ]
        )
