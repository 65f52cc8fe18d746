"""One process at a time works on a folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from services.common.errors import Unavailable


class FolderLock:
    """Held while open; it ends with the process, however that ends.

    Unavailable if another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    async def __aenter__(self) -> "FolderLock":
        self._folder.mkdir(parents=True, exist_ok=True)
        # the folder itself, so that no file is left behind
        file = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise Unavailable(
                "the data folder is in use by another index", reason="DATA_IN_USE"
            ) from None
        self._file = file
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
