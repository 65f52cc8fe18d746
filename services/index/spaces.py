"""Which collections there are: one for each space that the embedder has, or had."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from services.common.errors import FailedPrecondition, InvalidArgument, NotFound, VitrinaError
from services.common.telemetry import get_logger
from services.index.backoff import Backoff
from services.index.collection import Collection
from services.index.documents import DocumentTemplate
from services.index.following import Follower
from services.index.model import Embedder, Feed, Space, Stall
from services.index.stores.folders import drop_folder, finish_drops, is_internal
from services.index.stores.pin import PinFile
from services.index.stores.protocol import StateUnusable

log = get_logger()

_MAX_FOLDER_NAME_CHARS = 200
_PIN_FILE = ".pinned"

MakeCollection = Callable[[Path, Space], Collection]


@dataclass
class _Member:
    collection: Collection
    # What ends with the collection.
    open: AsyncExitStack
    follower: asyncio.Task[None] | None = None


class Collections:
    """Opens what is on disk, and follows the catalog for every space of the embedder.

    A collection whose space the embedder does not have stays searchable, as it is.
    """

    def __init__(
        self,
        folder: Path,
        make_collection: MakeCollection,
        stored_space: Callable[[Path], Awaitable[Space | None]],
        feed: Feed,
        embedder: Embedder,
        interval_seconds: float,
    ) -> None:
        self._folder = folder
        self._make_collection = make_collection
        self._stored_space = stored_space
        self._feed = feed
        self._embedder = embedder
        self._interval_seconds = interval_seconds
        self._pin = PinFile(folder / _PIN_FILE)
        self.pinned_space = ""
        # Held while collections come and go, and while one of them is pinned.
        self._changing = asyncio.Lock()
        self._members: dict[str, _Member] = {}
        self._refused: set[str] = set()
        self._stack = AsyncExitStack()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Collections":
        async with AsyncExitStack() as stack:
            self._stack = stack
            await finish_drops(self._folder)
            self.pinned_space = await self._pin.read()
            folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
            for folder in folders:
                if is_internal(folder):
                    continue
                space = await self._stored_space(folder)
                if space is None or folder.name != folder_name(space.id):
                    log.warning("folder left alone, it tells of no space", folder=folder.name)
                    continue
                try:
                    await self._open(space)
                except StateUnusable as error:  # the next look at the spaces tries again
                    log.error("collection not opened", space=space.id, problem=str(error))
            self._stack = stack.pop_all()
        # Their spaces may well be there: nothing is known while the embedder is away.
        for member in self._members.values():
            self._follow(member)
        self._watcher = asyncio.create_task(self._watch_spaces())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = [member.follower for member in self._members.values()]
        running = [task for task in (self._watcher, *tasks) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._stack.aclose()

    def all(self) -> Sequence[Collection]:
        """Return every collection, in order of its space's id."""
        return [self._members[id_].collection for id_ in sorted(self._members)]

    def find(self, space_id: str) -> Collection | None:
        """Return the collection of a space."""
        member = self._members.get(space_id)
        return member.collection if member is not None else None

    def drain(self) -> None:
        """End the calls that wait for a revision."""
        for member in self._members.values():
            member.collection.arrivals.drain()

    async def use(self, space_id: str) -> None:
        """Pin the space that searches prefer, durably; none if empty.

        FailedPrecondition (SPACE_MISMATCH, COLLECTION_NOT_READY) if it cannot answer.
        """
        async with self._changing:
            if space_id:
                self._refuse_unless_usable(space_id)
            if space_id != self.pinned_space:
                await self._pin.write(space_id)
                self.pinned_space = space_id
                log.info("space pinned" if space_id else "no space pinned", space=space_id)

    def _refuse_unless_usable(self, space_id: str) -> None:
        member = self._members.get(space_id)
        if member is None:
            raise FailedPrecondition(
                f"space: no collection of space {space_id[:500]}", reason="SPACE_MISMATCH"
            )
        if not member.collection.progress.is_followed:
            raise FailedPrecondition(
                f"space: the embedder does not have {space_id}, so no query can be embedded in it",
                reason="SPACE_MISMATCH",
            )
        member.collection.arrivals.refuse_unless_ready()

    async def drop(self, space_id: str, *, allow_missing: bool) -> int:
        """Drop the collection of a space that the embedder does not have; return the bytes freed.

        NotFound (SPACE_NOT_FOUND) unless `allow_missing`; FailedPrecondition (SPACE_IN_USE).
        Once begun it is carried through, whether or not its caller waits for it.
        """
        if not space_id:
            raise InvalidArgument("space", "is required")
        dropping = asyncio.create_task(self._drop(space_id, allow_missing=allow_missing))
        try:
            return await asyncio.shield(dropping)
        except asyncio.CancelledError:
            await asyncio.wait([dropping])
            raise

    async def _drop(self, space_id: str, *, allow_missing: bool) -> int:
        async with self._changing:
            member = self._members.get(space_id)
            if member is None:
                if allow_missing:
                    return 0
                raise NotFound(f"space: there is no {space_id[:500]}", reason="SPACE_NOT_FOUND")
            await self._refuse_if_in_use(space_id)
            del self._members[space_id]
            await self._stop_following(member)
            await member.open.aclose()
            freed_bytes = await drop_folder(self._folder / folder_name(space_id))
            log.info("collection dropped", space=space_id, freed_bytes=freed_bytes)
            return freed_bytes

    async def _refuse_if_in_use(self, space_id: str) -> None:
        if space_id == self.pinned_space:
            raise FailedPrecondition(
                f"space: {space_id} is pinned; use another one first", reason="SPACE_IN_USE"
            )
        try:
            spaces = await self._embedder.spaces()
        except VitrinaError:
            raise FailedPrecondition(
                f"space: whether {space_id} is in use is not known while the embedder is away",
                reason="SPACE_IN_USE",
            ) from None
        if space_id in (space.id for space in spaces):
            raise FailedPrecondition(
                f"space: the embedder has {space_id}; take it out of its settings first",
                reason="SPACE_IN_USE",
            )

    async def _open(self, space: Space) -> _Member:
        collection = self._make_collection(self._folder / folder_name(space.id), space)
        opened = await self._stack.enter_async_context(AsyncExitStack())
        await opened.enter_async_context(collection)
        member = self._members[space.id] = _Member(collection, opened)
        return member

    def _follow(self, member: _Member) -> None:
        problem = _problem_of(member.collection.space)
        if problem:  # what was stored by another version of the index
            self._refuse(member.collection.space.id, problem)
            return
        follower = Follower(member.collection, self._feed, self._embedder)
        member.follower = asyncio.create_task(follower.run())
        member.collection.progress.is_followed = True

    async def _stop_following(self, member: _Member) -> None:
        if member.follower is not None:
            member.follower.cancel()
            await asyncio.wait([member.follower])
            member.follower = None
        progress = member.collection.progress
        progress.is_followed = progress.is_catalog_away = False
        progress.embedder_stall = Stall.NONE
        progress.begin(member.collection.applied_revision)

    async def _watch_spaces(self) -> None:
        backoff = Backoff()
        while True:
            try:
                spaces = await self._embedder.spaces()
                async with self._changing:
                    await self._adopt(spaces)
            except VitrinaError as error:
                if backoff.attempts == 0:
                    log.warning("embedder does not tell its spaces", problem=error.message)
                for member in self._members.values():
                    member.collection.progress.spaces_stall = Stall.EMBEDDER
                await backoff.wait()
            except Exception:
                log.error("spaces not followed", exc_info=True)
                await backoff.wait()
            else:
                backoff.attempts = 0
                await asyncio.sleep(self._interval_seconds)

    async def _adopt(self, spaces: Sequence[Space]) -> None:
        listed = {space.id: space for space in spaces}
        for id_, member in self._members.items():
            if listed.get(id_) == member.collection.space:
                member.collection.progress.spaces_stall = Stall.NONE
                if member.follower is None and id_ not in self._refused:
                    log.info("space is back", space=id_)
                    self._follow(member)
                continue
            member.collection.progress.spaces_stall = Stall.SPACE
            if member.follower is not None:
                log.warning("space is gone, its collection stays as it is", space=id_)
                await self._stop_following(member)
        for id_, space in listed.items():
            if id_ in self._members or id_ in self._refused:
                continue
            problem = _problem_of(space)
            if problem:
                self._refuse(id_, problem)
                continue
            log.info("new space", space=id_, dimensions=space.dimensions)
            try:
                self._follow(await self._open(space))
            except StateUnusable as error:  # the next look at the spaces tries again
                log.error("collection not opened", space=id_, problem=str(error))
            except Exception:
                log.error("collection not opened", space=id_, exc_info=True)

    def _refuse(self, space_id: str, problem: str) -> None:
        self._refused.add(space_id)
        log.error("space refused", space=space_id, problem=problem)


def _problem_of(space: Space) -> str:
    """Return why there cannot be a collection of a space; empty if there can."""
    if not 1 <= len(folder_name(space.id)) <= _MAX_FOLDER_NAME_CHARS:
        return "its id is empty or too long"
    if space.dimensions < 1:
        return f"{space.dimensions} dimensions"
    try:
        DocumentTemplate(space.document_template)
    except ValueError as error:
        return str(error)
    return ""


def folder_name(space_id: str) -> str:
    """Return the space's id, as far as a folder may be called so."""
    name = quote(space_id, safe="")
    return "%2E" + name[1:] if name.startswith(".") else name
