"""Entries of the cache: a body of bytes with what decides whether it still holds."""

import json
from dataclasses import dataclass

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """`touched` are the categories that the body depends on; times are Unix seconds."""

    body: bytes
    expires_at: float
    revision: int = 0
    touched: frozenset[str] = frozenset()

    def encode(self) -> bytes:
        """Return one line of JSON, then the body. Read back by `decode`."""
        head = [FORMAT, self.expires_at, self.revision, sorted(self.touched)]
        return json.dumps(head, ensure_ascii=False).encode() + b"\n" + self.body

    @classmethod
    def decode(cls, data: bytes) -> "Entry | None":
        """Return the entry, or None for what is not one of this format."""
        line, separator, body = data.partition(b"\n")
        try:
            version, expires_at, revision, touched = json.loads(line)
            if version != FORMAT or not separator:
                return None
            return cls(body, float(expires_at), int(revision), frozenset(map(str, touched)))
        except (ValueError, TypeError):
            return None
