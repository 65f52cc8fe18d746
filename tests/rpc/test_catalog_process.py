"""The process: it survives kill -9 with all that it acknowledged, and stops when told to."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.catalog_support import Stubs, message, stubs_of
from tests.support import free_port, until
from vitrina.catalog.v1 import catalog_pb2 as pb
from vitrina.catalog.v1 import retrieval_pb2


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "DATABASE_URL" and not name.startswith("VITRINA_")
    } | {"VITRINA_DATA_DIR": str(folder), "VITRINA_CATALOG_LISTEN": f"127.0.0.1:{port}"}
    return subprocess.Popen(
        [sys.executable, "-m", "services.catalog"],
        env=environment,
        cwd=folder,
        stderr=subprocess.PIPE,
    )


@asynccontextmanager
async def answering(port: int) -> AsyncIterator[Stubs]:
    async with stubs_of(f"127.0.0.1:{port}") as stubs:

        async def is_serving() -> bool:
            # The port answers before the store is open.
            request = retrieval_pb2.GetCatalogStatusRequest()
            call = stubs.retrieval.GetCatalogStatus(request, wait_for_ready=True, timeout=20)
            return await call.code() is grpc.StatusCode.OK

        await until(is_serving, what="the catalog serves")
        yield stubs


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(3)
    acknowledged: dict[str, tuple[int, int]] = {}  # id → stock, revision

    async def write(stubs: Stubs, writer: int, offset: int) -> None:
        for number in range(1_000_000):
            ids = [f"w{writer}-{offset}-{number}-{i}" for i in range(chance.randint(1, 5))]
            request = pb.BatchUpsertProductsRequest(
                products=[message(i, stock=number) for i in ids]
            )
            written = await stubs.catalog.BatchUpsertProducts(request)
            for result in written.results:
                acknowledged[result.id] = (number, result.revision)
            if len(acknowledged) > 60 * (offset + 1):
                return

    for round_number in range(2):
        process = start(tmp_path, port := free_port())
        try:
            async with answering(port) as stubs:
                writers = [
                    asyncio.ensure_future(write(stubs, writer, round_number)) for writer in range(4)
                ]
                # Right after an acknowledgement, with other writes at work.
                await asyncio.wait(writers, return_when=asyncio.FIRST_COMPLETED)
                process.kill()
                await asyncio.gather(*writers, return_exceptions=True)
        finally:
            process.kill()
            process.communicate()

    process = start(tmp_path, port := free_port())
    try:
        async with answering(port) as stubs:
            seen: dict[str, pb.Product] = {}
            revisions: list[int] = []
            async for response in stubs.catalog.WatchChanges(pb.WatchChangesRequest()):
                for change in response.changes:
                    revisions.append(change.revision)
                    seen[change.product_id] = change.product
                if revisions[-1] == response.head_revision:
                    break
            assert revisions == list(range(1, len(revisions) + 1))
            assert len(acknowledged) > 100
            for product_id, (stock, revision) in acknowledged.items():
                assert (seen[product_id].stock, seen[product_id].revision) == (stock, revision)
            status = await stubs.retrieval.GetCatalogStatus(retrieval_pb2.GetCatalogStatusRequest())
            assert status.product_count == len(seen)
            found = await stubs.retrieval.SearchText(
                retrieval_pb2.SearchTextRequest(query="lámparas", limit=1_000)
            )
            assert len(found.product_ids) == len(seen)
    finally:
        process.kill()
        process.communicate()


async def test_sigterm_stops_it_within_a_second_with_watchers_connected(tmp_path: Path) -> None:
    process = start(tmp_path, port := free_port())
    try:
        async with answering(port) as stubs:
            watching = stubs.catalog.WatchChanges(pb.WatchChangesRequest())
            await anext(aiter(watching))
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await anext(aiter(watching))
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            _, errors = await asyncio.to_thread(process.communicate, timeout=10)
            assert time.monotonic() - began < 1.5
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors.decode()
    assert [path.name for path in (tmp_path / "catalog").glob("*")] == ["catalog.db"]


async def test_a_wrong_setting_is_named_and_ends_the_start(tmp_path: Path) -> None:
    finished = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.catalog"],
        env=os.environ | {"DATABASE_URL": "postgresql://shop:hunter2@db/shop"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 2
    assert b"DATABASE_URL" in finished.stderr
    assert b"hunter2" not in finished.stderr
