"""One stack with the sample catalog in it, for the tests that leave its products as they are."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.stack import SAMPLE, Stack, running_stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sample_stack() -> AsyncIterator[Stack]:
    async with running_stack() as stack:
        code, out, err = await stack.cli("import", str(SAMPLE), "--wait", "--json")
        assert code == 0, out + err
        yield stack
