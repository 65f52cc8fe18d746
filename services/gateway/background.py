"""Tasks that last as long as a block."""

import asyncio
from typing import Self


class Background:
    """An own task from the beginning to the end of the block."""

    async def _run(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def _finish(self) -> None:
        """Do what remains when the task has ended."""

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._finish()
