"""`vitrina up` with a wrong setting: a line that names it, and an end."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VITRINA_MODEL_DIR", "/nowhere"),
        ("VITRINA_CACHE_MEMORY_MB", "abc"),
        ("REDIS_URL", "nonsense"),
        ("DATABASE_URL", "mysql://shop"),
    ],
)
async def test_a_wrong_setting_is_named_and_ends_the_start(
    tmp_path: Path, variable: str, value: str
) -> None:
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "up", "--json", "--data-dir", str(tmp_path)),
        *("--http-port", "0", "--grpc-port", "0"),
        env=os.environ | {variable: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(up.communicate(), 60)
    assert up.returncode == 1
    assert out == b""
    assert variable in err.decode()
    assert "Traceback" not in err.decode()
