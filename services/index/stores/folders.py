"""Folders of collections that are dropped: gone as a whole, whenever the process dies."""

import asyncio
import shutil
from pathlib import Path

from services.common.telemetry import get_logger
from services.index.stores.pin import sync_folder

log = get_logger()

# No collection's folder begins with a dot.
_DROPPED = ".dropped-"


async def drop_folder(folder: Path) -> int:
    """Remove a folder, durably; return the bytes of its files. OSError leaves it as it was."""
    return await asyncio.to_thread(_drop, folder)


async def finish_drops(parent: Path) -> None:
    """Remove what a drop that was cut off has left."""
    await asyncio.to_thread(_finish_drops, parent)


def is_internal(folder: Path) -> bool:
    """Tell whether a name beside the collections' folders is one of ours."""
    return folder.name.startswith(".")


def _drop(folder: Path) -> int:
    # Renamed first: from then on it is no collection any more, finished or not.
    dropped = folder.with_name(_DROPPED + folder.name)
    if dropped.exists():
        shutil.rmtree(dropped)
    folder.rename(dropped)
    sync_folder(folder.parent)
    size_bytes = sum(file.stat().st_size for file in dropped.rglob("*") if file.is_file())
    _remove(dropped)
    return size_bytes


def _finish_drops(parent: Path) -> None:
    for dropped in parent.glob(_DROPPED + "*"):
        _remove(dropped)


def _remove(dropped: Path) -> None:
    try:
        shutil.rmtree(dropped)
    except OSError as error:
        log.error("dropped folder stays", folder=dropped.name, problem=str(error))
