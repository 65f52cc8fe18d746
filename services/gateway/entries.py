"""Entries of the cache: a body of bytes with what decides whether it still holds."""

import json
from dataclasses import dataclass

FORMAT = 3


@dataclass(frozen=True)
class Entry:
    """`touched` are the categories that the body depends on; `expires_at` is Unix seconds.

    Its lifetime ends at `expires_at`; after that a tier keeps it for `grace_seconds`
    more, overdue. A clock that jumps back gives no entry more than `lifetime_seconds`.
    """

    body: bytes
    expires_at: float
    lifetime_seconds: float
    revision: int = 0
    touched: frozenset[str] = frozenset()
    # Only what it touches can make it wrong; if not, any change at all may.
    is_bounded: bool = True
    grace_seconds: float = 0.0
    # Of an answer, see answers.Encoded.
    popular: str = ""
    # Its lifetime was over when a tier gave it out. Not stored.
    is_overdue: bool = False

    def lifetime_left_seconds(self, now: float) -> float:
        """Return what is left of its lifetime at a Unix time; below zero once it is overdue."""
        return min(self.expires_at - now, self.lifetime_seconds)

    def encode(self) -> bytes:
        """Return one line of JSON, then the body. Read back by `decode`."""
        times = [self.expires_at, self.lifetime_seconds, self.grace_seconds]
        touched = sorted(self.touched)
        head = [FORMAT, *times, self.revision, touched, self.is_bounded, self.popular]
        return json.dumps(head, ensure_ascii=False).encode() + b"\n" + self.body

    @classmethod
    def decode(cls, data: bytes) -> "Entry | None":
        """Return the entry, or None for what is not one of this format."""
        line, separator, body = data.partition(b"\n")
        try:
            version, expires_at, lifetime, grace, *about = json.loads(line)
            revision, touched, is_bounded, popular = about
            if version != FORMAT or not separator or not isinstance(touched, list):
                return None
            return cls(
                body,
                float(expires_at),
                float(lifetime),
                int(revision),
                frozenset(map(str, touched)),
                bool(is_bounded),
                float(grace),
                str(popular),
            )
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
