"""The threads that search and that keep graphs, beside the event loop."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from services.index.engines.protocol import Engine

T = TypeVar("T")
Work = Callable[[], T]

# Builds go on for seconds to minutes; searches take the processor from them.
_NICENESS = 10


class Threads:
    """Searches side by side; beside them, at a lower priority, one thread for long builds,
    one for short ones that do not wait for those, and one for checks.

    At the end, builds and checks are told to stop and waited for.
    """

    def __init__(self, engine: Engine, search_threads: int) -> None:
        self._engine = engine
        self._search = ThreadPoolExecutor(
            search_threads, thread_name_prefix="index-search", initializer=engine.prepare_thread
        )
        self._build = self._in_background("index-build")
        self._extend = self._in_background("index-extend")
        self._check = self._in_background("index-check")
        self._is_stopping = threading.Event()

    async def __aenter__(self) -> "Threads":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_stopping.set()
        for pool in (self._build, self._extend, self._check, self._search):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def is_stopping(self) -> bool:
        """Whether a build is to end; any thread may ask."""
        return self._is_stopping.is_set()

    async def search(self, work: Work[T]) -> T:
        """Run a search; one that has not begun when its caller is gone never does."""
        return await asyncio.get_running_loop().run_in_executor(self._search, work)

    async def build(self, work: Work[T]) -> T:
        """Run what may take minutes: building a large graph, or saving it."""
        return await asyncio.get_running_loop().run_in_executor(self._build, work)

    async def extend(self, work: Work[T]) -> T:
        """Run what takes a second: putting some rows into a graph."""
        return await asyncio.get_running_loop().run_in_executor(self._extend, work)

    async def check(self, work: Work[T]) -> T:
        """Run a measurement, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._check, work)

    def _in_background(self, name: str) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=self._prepare_background)

    def _prepare_background(self) -> None:
        self._engine.prepare_thread()
        # Linux keeps the niceness of each thread; elsewhere it would be the process's.
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
