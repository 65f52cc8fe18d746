"""Follows the catalog for one collection: changes, texts, vectors, batches."""

import asyncio
from contextlib import aclosing

from services.common.errors import FailedPrecondition, VitrinaError
from services.common.telemetry import get_logger
from services.index.backoff import Backoff
from services.index.collection import Collection
from services.index.documents import DocumentTemplate
from services.index.embedding import DocumentEmbedder
from services.index.model import Batch, Change, ChangePage, Columns, Embedder, Feed, Vector
from services.index.planning import Plan, Planner
from services.index.stores.protocol import DamagedState, StateUnusable

log = get_logger()

# Three calls of the embedder.
MAX_CHANGES_PER_BATCH = 300
# Changes that were read, but are in no batch yet. Beyond them the feed has to wait.
_MAX_WAITING_CHANGES = 1024
# One is committed while the next is embedded. More would be paid for twice after a kill.
MAX_BATCHES_UNDER_WAY = 2

Ahead = asyncio.Queue[tuple[Plan, asyncio.Task[list[Vector | None]]] | None]


class _AnotherCatalog(Exception):
    """What the collection holds is of a catalog that is not there any more."""


class _Inbox:
    """Pages as they come, given out as batches of what is there."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._page: ChangePage | None = None
        self._is_closed = False
        self._moved = asyncio.Condition()

    async def put(self, page: ChangePage) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: len(self._changes) < _MAX_WAITING_CHANGES)
            self._changes += page.changes
            self._page = page
            self._moved.notify_all()

    async def close(self) -> None:
        async with self._moved:
            self._is_closed = True
            self._moved.notify_all()

    async def take(self) -> ChangePage | None:
        """Return what has come, as soon as something has, up to 300 changes; None at the end."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._page is not None or self._is_closed)
            page = self._page
            if page is None:
                return None
            changes = self._changes[:MAX_CHANGES_PER_BATCH]
            del self._changes[:MAX_CHANGES_PER_BATCH]
            if not self._changes:
                self._page = None
            self._moved.notify_all()
        return ChangePage(changes, page.head_revision, page.catalog_id)


class Follower:
    """Brings one collection to the catalog's head and keeps it there.

    Batches are applied strictly in order, each at once: what waits is only
    ever a catalog or an embedder that is away.
    """

    def __init__(self, collection: Collection, feed: Feed, embedder: Embedder) -> None:
        self._collection = collection
        self._feed = feed
        self._template = DocumentTemplate(collection.space.document_template)
        self._documents = DocumentEmbedder(embedder, collection.space, collection.progress)
        self._progress = collection.progress
        self._is_catalog_another = False
        self._is_state_damaged = False
        self._reconnects = Backoff()
        # Whatever fails beside the upstreams, as a full disk does.
        self._failures = Backoff(max_seconds=15.0)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except Exception as error:
                self._note(error)
            await self._failures.wait()

    def _note(self, error: Exception) -> None:
        errors = error if isinstance(error, ExceptionGroup) else ExceptionGroup("", [error])
        if errors.subgroup(DamagedState) is not None:
            self._is_state_damaged = True
        elif errors.subgroup(_AnotherCatalog) is not None:
            self._is_catalog_another = True
        else:
            log.error("following failed", space=self._collection.space.id, exc_info=error)

    async def _follow(self) -> None:
        """Follow from what is durable until something fails that is not the stream."""
        if self._is_state_damaged:
            await self._collection.begin_again()
            self._is_state_damaged = False
        if self._is_catalog_another:
            log.warning("another catalog, begun again", space=self._collection.space.id)
            await self._collection.drop_content()
            self._is_catalog_another = False
        planner = Planner(
            self._template, self._collection.text_hashes, self._collection.applied_revision
        )
        self._progress.begin(planner.position)
        while True:
            inbox = _Inbox()
            ahead: Ahead = asyncio.Queue()
            under_way = asyncio.Semaphore(MAX_BATCHES_UNDER_WAY)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(planner.position, inbox))
                group.create_task(self._plan(planner, inbox, ahead, under_way, group))
                group.create_task(self._commit(planner, ahead, under_way))
            # all that was read is applied; the stream is lost
            await self._reconnects.wait()

    async def _read(self, position: int, inbox: _Inbox) -> None:
        try:
            async with aclosing(self._feed.changes_after(position)) as pages:
                async for page in pages:
                    self._check_catalog(page.catalog_id)
                    self._reached_catalog(page.head_revision)
                    await inbox.put(page)
                    await asyncio.sleep(0)  # pages that are there already come without a pause
            self._lost_catalog("the stream ended")
        except FailedPrecondition as error:
            if error.reason == "REVISION_UNKNOWN":
                raise _AnotherCatalog from None
            self._lost_catalog(error.message)
        except VitrinaError as error:
            self._lost_catalog(error.message)
        await inbox.close()

    async def _plan(
        self,
        planner: Planner,
        inbox: _Inbox,
        ahead: Ahead,
        under_way: asyncio.Semaphore,
        group: asyncio.TaskGroup,
    ) -> None:
        while await under_way.acquire() and (page := await inbox.take()) is not None:
            plan = await planner.plan(page.changes, page.head_revision, page.catalog_id)
            texts = [text for _, text in plan.documents]
            self._progress.planned(plan.position, texts)
            vectors = group.create_task(self._documents.embed(texts))
            await ahead.put((plan, vectors))
        await ahead.put(None)

    async def _commit(self, planner: Planner, ahead: Ahead, under_way: asyncio.Semaphore) -> None:
        while (item := await ahead.get()) is not None:
            plan, vectors = item
            await self._apply(self._batch(plan, await vectors))
            planner.applied(plan)
            under_way.release()
            self._failures.attempts = 0
            self._progress.unchanged_documents += len(plan.retained)

    async def _apply(self, batch: Batch) -> None:
        """Apply a batch as soon as the storage takes it: its vectors may have cost money."""
        is_paused = False
        while True:
            try:
                await self._collection.apply(batch)
            except StateUnusable as error:
                if not is_paused:
                    log.error(
                        "following pauses, state not written",
                        space=self._collection.space.id,
                        problem=str(error),
                    )
                is_paused = True
                await self._failures.wait()
                continue
            if is_paused:
                log.info("following goes on", space=self._collection.space.id)
            return

    def _batch(self, plan: Plan, vectors: list[Vector | None]) -> Batch:
        embedded: list[tuple[Columns, Vector]] = []
        removed = list(plan.removed)
        for (columns, _), vector in zip(plan.documents, vectors, strict=True):
            if vector is not None:
                embedded.append((columns, vector))
                continue
            # its former text is not what it says any more, so no row is better than that one
            removed.append(columns.product_id)
            self._progress.refused_documents += 1
            log.warning(
                "product without a vector: its text is refused",
                space=self._collection.space.id,
                product=columns.product_id,
                so_far=self._progress.refused_documents,
            )
        return Batch(
            revision=plan.revision,
            catalog_id=plan.catalog_id,
            is_at_head=plan.is_at_head,
            embedded=embedded,
            retained=plan.retained,
            removed=removed,
        )

    def _check_catalog(self, catalog_id: str) -> None:
        followed = self._collection.catalog_id
        if followed and followed != catalog_id:
            raise _AnotherCatalog

    def _reached_catalog(self, head_revision: int) -> None:
        self._progress.head_revision = head_revision
        self._reconnects.attempts = 0
        if self._progress.is_catalog_away:
            self._progress.is_catalog_away = False
            log.info("catalog is back", space=self._collection.space.id)

    def _lost_catalog(self, problem: str) -> None:
        if not self._progress.is_catalog_away:
            self._progress.is_catalog_away = True
            log.warning("catalog lost", space=self._collection.space.id, problem=problem)
