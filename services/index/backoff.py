"""Waiting before the next attempt."""

import asyncio
import random
from dataclasses import dataclass


@dataclass
class Backoff:
    """Waits between attempts: longer and longer, up to a limit, never all at once."""

    attempts: int = 0
    max_seconds: float = 1.0

    async def wait(self) -> None:
        """Sleep before the next attempt."""
        ceiling = min(self.max_seconds, 0.05 * 2 ** min(self.attempts, 10))
        self.attempts += 1
        await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
