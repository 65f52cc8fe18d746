"""The command as people and programs run it: a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any


@dataclass
class Ended:
    """How the command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON that it printed."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


async def vitrina(*arguments: str, stdin: bytes = b"", **environment: str) -> Ended:
    """Run it to its end. Neither a traceback nor a control sequence may come out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    ended = Ended(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in ended.err
    assert "\x1b" not in ended.out + ended.err
    return ended
