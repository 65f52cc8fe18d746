"""One process at a time works on a folder."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Self

from services.common.errors import StartRefused


class FolderLock:
    """Held while open; it ends with the process, however that ends.

    The folder is made if it is not there. StartRefused if another process has it
    (DATA_IN_USE), or if files cannot be made in it (DATA_FOLDER_UNUSABLE); both
    name the setting that the folder is of.
    """

    def __init__(self, folder: Path, *, setting: str) -> None:
        self._folder = folder
        self._setting = setting
        self._file: int | None = None

    async def __aenter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # the folder itself, so that no file is left behind
            file = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._take(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # permissions do not tell of a file system that is read-only
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except BlockingIOError:
            raise StartRefused(
                f"{self._setting}: {self._folder} is in use by another process;"
                " stop that one, or choose another folder",
                reason="DATA_IN_USE",
            ) from None
        except OSError as error:
            # what is there can still be read, and space may be made at any time
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StartRefused:
        problem = (error.strerror or str(error)).lower()
        return StartRefused(
            f"{self._setting}: {self._folder} cannot be used: {problem}",
            reason="DATA_FOLDER_UNUSABLE",
        )
