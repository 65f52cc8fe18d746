"""The threads that search and that build graphs, beside the event loop."""

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

# Builds go on for seconds to minutes; searches take the processor from them.
_BUILD_NICENESS = 10


class Threads:
    """Searches side by side, builds one after the other at a lower priority.

    At the end, builds are told to stop and waited for.
    """

    def __init__(self, engine: Engine, search_threads: int) -> None:
        self._engine = engine
        self._search = ThreadPoolExecutor(
            search_threads, thread_name_prefix="index-search", initializer=engine.prepare_thread
        )
        self._build = ThreadPoolExecutor(
            1, thread_name_prefix="index-build", initializer=self._prepare_build
        )
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
        await asyncio.to_thread(self._build.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._search.shutdown, cancel_futures=True)

    def is_stopping(self) -> bool:
        """Whether a build is to end; any thread may ask."""
        return self._is_stopping.is_set()

    async def search(self, work: Callable[[], T]) -> T:
        """Run a search; one that has not begun when its caller is gone never does."""
        return await asyncio.get_running_loop().run_in_executor(self._search, work)

    async def build(self, work: Callable[[], T]) -> T:
        """Run a part of building, saving or loading a graph."""
        return await asyncio.get_running_loop().run_in_executor(self._build, work)

    def _prepare_build(self) -> None:
        self._engine.prepare_thread()
        # Linux keeps the niceness of each thread; elsewhere it would be the process's.
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BUILD_NICENESS)
