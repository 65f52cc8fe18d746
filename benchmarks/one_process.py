"""The floor of four processes: the same steps by the same modules in one, without gRPC.

`python -m benchmarks.one_process DATA_DIR` opens a data folder that no stack uses. It reads
lines of JSON, {"query": "...", "filter": "..."}, and answers each with a line of seconds by
stage and the ids of the page.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

import uvloop

from benchmarks.queries import PAGE_SIZE
from services.catalog.catalog import Catalog
from services.catalog.feed import ChangeFeed
from services.catalog.settings import CatalogSettings
from services.catalog.stores.sqlite import SqliteStore
from services.catalog.stores.sqlite_tuning import SqliteTuning
from services.catalog.text import Rules
from services.common import filters
from services.common.telemetry import configure_logging
from services.embedder.embedding import Embedder
from services.embedder.providers.minilm import MiniLMProvider
from services.embedder.settings import EmbedderSettings
from services.embedder.spaces import Purpose
from services.gateway.answers import Plan
from services.gateway.candidates import VectorHits, WordHits
from services.gateway.fusion import fused
from services.gateway.retrieval import WORD_CANDIDATES
from services.gateway.settings import GatewaySettings
from services.gateway.ways import MEANING_CANDIDATES
from services.index.collection import Collection
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graph_files import GraphFiles
from services.index.model import Space
from services.index.policy import GraphPolicy
from services.index.settings import IndexSettings
from services.index.spaces import folder_name
from services.index.stores.sqlite import SqliteStateStore
from services.index.threads import Threads


class OneProcess:
    """Everything that a hybrid search needs, opened over one data folder with default settings."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._gateway = GatewaySettings()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            self.catalog = await self._open_catalog(opening)
            self.embedder = await self._open_embedder(opening)
            self.collection = await self._open_collection(opening)
            self._exit = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def search(self, query: str, filter_text: str) -> tuple[dict[str, float], list[str]]:
        """Answer a query as the gateway has the others do; return seconds by stage, and ids."""
        spent: dict[str, float] = {}
        started, cpu_started = time.perf_counter(), time.process_time()
        passing = filters.parse(filter_text)
        canonical = "" if passing is None else filters.canonical(passing)
        words, meaning = await asyncio.gather(
            self._by_words(query, canonical, spent), self._by_meaning(query, passing, spent)
        )
        with _Timed(spent, "fuse"):
            hits = fused(words, meaning, self._gateway.semantic_weight).hits[:PAGE_SIZE]
        with _Timed(spent, "hydrate"):
            found = await self.catalog.get_active([product_id for product_id, _ in hits])
        spent["total"] = time.perf_counter() - started
        spent["processor"] = time.process_time() - cpu_started
        return spent, [stored.product.id for stored in found.products]

    async def _by_words(self, query: str, filter_text: str, spent: dict[str, float]) -> WordHits:
        with _Timed(spent, "text"):
            found = await self.catalog.search_text(
                query, WORD_CANDIDATES, filter_text, literal=False
            )
            return WordHits(
                [hit.product_id for hit in found.hits],
                [hit.score for hit in found.hits],
                found.revision,
                found.exact_identifiers,
                found.corrected_query,
                found.requires_words,
                found.is_complete,
            )

    async def _by_meaning(
        self, query: str, passing: filters.Node | None, spent: dict[str, float]
    ) -> VectorHits:
        with _Timed(spent, "embed"):
            embedded = await self.embedder.embed([query], [], Purpose.QUERY)
        with _Timed(spent, "index"):
            found = await self.collection.search(
                embedded.vectors[0],
                MEANING_CANDIDATES,
                passing,
                0,
                feedback_products=self._gateway.feedback_products,
            )
        plan = Plan(vectors=found.vectors, passing=found.passing)
        space = self.collection.space.id
        return VectorHits(found.product_ids, found.cosines, found.revision, plan, space)

    async def _open_catalog(self, opening: AsyncExitStack) -> Catalog:
        settings = CatalogSettings(data_dir=self._data_dir)
        feed, rules = ChangeFeed(), Rules(settings.language)
        store = SqliteStore(
            settings.database_path,
            text_weights=settings.text_weights,
            readers=settings.readers,
            on_commit=feed.announce,
            text_rules=rules,
        )
        tuning = SqliteTuning(store.database, on_commit=feed.announce, text_rules=rules)
        await opening.enter_async_context(store)
        await opening.enter_async_context(tuning)
        return Catalog(store, feed, tuning.in_force, default_currency="", text_rules=rules)

    async def _open_embedder(self, opening: AsyncExitStack) -> Embedder:
        settings = EmbedderSettings()
        provider = partial(
            MiniLMProvider,
            settings.models[0][0],
            document_template=settings.document_template,
            query_workers=settings.query_workers,
        )
        embedder = Embedder(
            {"minilm": provider},
            max_waiting_texts=settings.max_waiting_texts,
            default_timeout_seconds=settings.default_timeout_seconds,
        )
        return await opening.enter_async_context(embedder)

    async def _open_collection(self, opening: AsyncExitStack) -> Collection:
        settings = IndexSettings(data_dir=self._data_dir)
        parameters = GraphParameters(
            links=settings.graph_links, ef_construction=settings.graph_ef_construction
        )
        policy = GraphPolicy(
            parameters=parameters,
            ef_search=settings.graph_ef_search,
            min_rows=settings.graph_min_rows,
        )
        engine = FaissEngine()
        threads = await opening.enter_async_context(Threads(engine, settings.search_threads))
        own = self.embedder.spaces()[0].space
        space = Space(own.id, own.dimensions, own.document_template)
        folder = settings.collections_dir / folder_name(space.id)
        return await opening.enter_async_context(
            Collection(
                space,
                SqliteStateStore(folder / "state.sqlite", space),
                GraphFiles(folder, engine, parameters),
                engine,
                threads,
                policy,
            )
        )


class _Timed:
    """Notes the seconds of the block."""

    def __init__(self, spent: dict[str, float], stage: str) -> None:
        self._spent = spent
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._spent[self._stage] = time.perf_counter() - self._started


async def answer_lines(data_dir: Path) -> None:
    """Answer the lines of stdin, one after the other, until it ends."""
    loop = asyncio.get_running_loop()
    async with OneProcess(data_dir) as one:
        print(json.dumps({"event": "ready"}), flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            asked = json.loads(line)
            seconds, ids = await one.search(asked["query"], asked["filter"])
            print(json.dumps({"seconds": seconds, "ids": ids}), flush=True)


def main() -> None:
    """Serve stdin."""
    configure_logging("one-process", level="warning", environment="benchmark")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(answer_lines(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
