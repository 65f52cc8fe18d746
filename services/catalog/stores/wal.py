"""What SQLite would not miss: committed writes that are gone from the log beside the database.

After a process was killed, its last writes may stand in `-wal` alone. SQLite reads it up
to the first frame that is not whole and drops the rest without a word, since what a power
cut leaves looks the same. But `-shm`, which a process that dies leaves behind, says how many
frames were committed. The formats are those of https://sqlite.org/walformat.html.
"""

import struct
from pathlib import Path
from typing import NamedTuple

# version, -, change, is_initialised, checksum order, page size, frames, pages,
# checksum of the last frame, salt, checksum of all before it; in native order, twice.
_SHARED = struct.Struct("=IIIBBHII8s8s8s")
_BACKFILLED = struct.Struct("=I")
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAGIC_LITTLE, _MAGIC_BIG = 0x377F0682, 0x377F0683
_MASK = 0xFFFFFFFF


class _Committed(NamedTuple):
    frames: int
    salt: bytes
    page_bytes: int


def problem_of(database: Path) -> str:
    """Return what is missing of the writes beside a database that is not open; empty if nothing."""
    log, shared = (database.with_name(database.name + end) for end in ("-wal", "-shm"))
    if not database.exists():
        has_writes = log.exists() and log.stat().st_size > 0
        return f"it is gone, and {log.name} is still there" if has_writes else ""
    if not shared.exists():
        return ""
    if not log.exists():
        return f"{log.name} is gone, which held its last writes"
    committed = _committed(shared.read_bytes())
    if committed is None:
        return ""
    with log.open("rb") as file:
        frames = _whole_frames(file.read(), committed)
    if frames is None or frames >= committed.frames:
        return ""
    return f"{log.name} is damaged: {frames} of its {committed.frames} frames are whole"


def _committed(shared: bytes) -> _Committed | None:
    """Return what was committed and is not in the database yet; None if that is not known."""
    header, copy = shared[: _SHARED.size], shared[_SHARED.size : 2 * _SHARED.size]
    ends_at = 2 * _SHARED.size + _BACKFILLED.size
    if len(shared) < ends_at or header != copy:
        return None
    _, _, _, is_initialised, _, page_size, frames, _, _, salt, checksum = _SHARED.unpack(header)
    if not is_initialised or struct.pack("=II", *_summed(header[:-8], "=", (0, 0))) != checksum:
        return None
    (backfilled,) = _BACKFILLED.unpack_from(shared, 2 * _SHARED.size)
    if frames <= backfilled:
        return None
    return _Committed(frames, salt, (page_size & 0xFE00) + ((page_size & 1) << 16))


def _whole_frames(log: bytes, committed: _Committed) -> int | None:
    """Return how many frames from the first on are whole; None if they are of another time."""
    order = _order_of(log[:_LOG_HEADER_BYTES])
    if not order:
        return 0
    sums = _summed(log[:24], order, (0, 0))
    if log[16:24] != committed.salt:
        # A sound log that is newer: `-shm` is never flushed, and is old after a power cut.
        return None
    frame_bytes = _FRAME_HEADER_BYTES + committed.page_bytes
    for number in range(committed.frames):
        start = _LOG_HEADER_BYTES + number * frame_bytes
        frame = log[start : start + frame_bytes]
        if len(frame) < frame_bytes or frame[8:16] != committed.salt:
            return number
        sums = _summed(frame[:8], order, sums)
        sums = _summed(frame[_FRAME_HEADER_BYTES:], order, sums)
        if struct.pack(">II", *sums) != frame[16:24]:
            return number
    return committed.frames


def _order_of(header: bytes) -> str:
    """Return the byte order of the sums in a log, as `struct` has it; empty if it is no log."""
    if len(header) < _LOG_HEADER_BYTES:
        return ""
    order = {_MAGIC_LITTLE: "<", _MAGIC_BIG: ">"}.get(struct.unpack_from(">I", header)[0], "")
    is_whole = order and struct.pack(">II", *_summed(header[:24], order, (0, 0))) == header[24:]
    return order if is_whole else ""


def _summed(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    numbers = struct.unpack(f"{order}{len(data) // 4}I", data)
    for position in range(0, len(numbers), 2):
        first = (first + numbers[position] + second) & _MASK
        second = (second + numbers[position + 1] + first) & _MASK
    return first, second
