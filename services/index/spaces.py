"""Which collections there are: one for each space that the embedder has, or had."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from services.common.errors import VitrinaError
from services.common.telemetry import get_logger
from services.index.backoff import Backoff
from services.index.collection import Collection
from services.index.documents import DocumentTemplate
from services.index.following import Follower
from services.index.model import Embedder, Feed, Space, Stall

log = get_logger()

_MAX_FOLDER_NAME_CHARS = 200

MakeCollection = Callable[[Path, Space], Collection]


@dataclass
class _Member:
    collection: Collection
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
        self._members: dict[str, _Member] = {}
        self._refused: set[str] = set()
        self._stack = AsyncExitStack()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Collections":
        async with AsyncExitStack() as stack:
            self._stack = stack
            folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
            for folder in folders:
                space = await self._stored_space(folder)
                if space is None or folder.name != folder_name(space.id):
                    log.warning("folder left alone, it tells of no space", folder=folder.name)
                    continue
                await self._open(space)
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

    async def _open(self, space: Space) -> _Member:
        collection = self._make_collection(self._folder / folder_name(space.id), space)
        await self._stack.enter_async_context(collection)
        member = self._members[space.id] = _Member(collection)
        return member

    def _follow(self, member: _Member) -> None:
        problem = _problem_of(member.collection.space)
        if problem:  # what was stored by another version of the index
            self._refuse(member.collection.space.id, problem)
            return
        follower = Follower(member.collection, self._feed, self._embedder)
        member.follower = asyncio.create_task(follower.run())

    async def _watch_spaces(self) -> None:
        backoff = Backoff()
        while True:
            try:
                spaces = await self._embedder.spaces()
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
                member.follower.cancel()
                await asyncio.wait([member.follower])
                member.follower = None
                member.collection.progress.is_catalog_away = False
                member.collection.progress.embedder_stall = Stall.NONE
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
            except Exception:  # the next look at the spaces tries again
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
