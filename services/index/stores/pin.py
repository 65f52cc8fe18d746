"""Which space is pinned, in a file of one line."""

import asyncio
import os
from pathlib import Path

from services.common.telemetry import get_logger

log = get_logger()


class PinFile:
    """Durable once `write` has returned. A file that cannot be read pins nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> str:
        """Return the id of the pinned space; empty if none is."""
        return await asyncio.to_thread(self._read)

    async def write(self, space_id: str) -> None:
        """Pin a space, or none. OSError if the disk does not take it; all is as before then."""
        await asyncio.to_thread(self._write, space_id)

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            log.error("pin not read, no space is pinned", problem=type(error).__name__)
            return ""

    def _write(self, space_id: str) -> None:
        unfinished = self._path.with_name(self._path.name + ".new")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(space_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        sync_folder(self._path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Blocks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
