import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.cli import convert, searchable, uploading
from services.cli.connection import Target
from services.cli.failures import Failure
from services.cli.import_run import Report, import_file
from services.cli.mapping import parse_mapping
from services.cli.rejects import RejectsFile
from services.cli.sources import Source, format_of
from services.common.errors import DeadlineExceeded, FailedPrecondition, Overloaded, Unavailable
from tests.cli_gateway import FakeGateway, gateway_serving


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def address(fake: FakeGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def imported(
    address: str, path: Path, *, wait: bool = False, mapping: str = "", **options: Any
) -> Report:
    source = Source(
        path, format_of(path), mapping=parse_mapping([mapping] if mapping else []), **options
    )
    kept = RejectsFile(Path("out.rejects.jsonl"))
    return await import_file(source, Target(address, 5), kept, wait=wait, is_silent=True)


def rejects_text() -> str:
    path = Path("out.rejects.jsonl")
    return path.read_text() if path.exists() else ""


def rejected() -> dict[int, str]:
    lines = rejects_text().splitlines()
    return {row["line"]: row["reason"] for row in map(json.loads, lines)}


def products(tmp_path: Path, number: int, name: str = "product") -> Path:
    path = tmp_path / "products.jsonl"
    path.write_text("".join(f'{{"id":"{i}","name":"{name} {i}"}}\n' for i in range(number)))
    return path


async def test_a_file_goes_in_and_again_unchanged(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    path = products(tmp_path, 1203)
    report = await imported(address, path)
    assert report.failure is None
    assert (report.tally.rows, report.tally.created, report.tally.revision) == (1203, 1203, 1203)
    assert sorted(fake.batches) == [203, 500, 500]
    assert len(fake.products) == 1203
    again = await imported(address, path)
    assert (again.tally.unchanged, again.tally.stored, again.tally.created) == (1203, 1203, 0)
    assert not rejects_text()


async def test_the_summary_for_programs_adds_up(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("id,name,price\n1,a,2\n2,b,agotado\n3,c,dear\n")
    summary = (await imported(address, path, wait=True)).as_json()
    assert summary["seconds"] > 0
    assert summary["searchable_seconds"] >= 0
    for timing in ("seconds", "rows_per_second", "searchable_seconds"):
        del summary[timing]
    assert summary == {
        "rows": 3, "stored": 2, "created": 2, "updated": 0, "unchanged": 0, "rejected": 1,
        "without_price": 1, "revision": 2, "rejects_file": "out.rejects.jsonl",
    }  # fmt: skip


async def test_every_bad_row_is_named_and_every_good_one_goes_in(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    rows = [
        b'{"id":"a","name":"A"}', b"{bad", b'{"name":"no id"}', b'{"id":"c","name":"C"}',
        b'{"id":"a","name":"again"}', b'{"id":"d","name":"' + b"x" * 1_000_000 + b'"}',
        b'{"id":"e","name":"\xff"}', b"", b'{"id":"f","name":"F","price":"1.234"}',
        b'{"id":"g","name":"G","price":12.50}',
    ]  # fmt: skip
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(rows)))
    report = await imported(address, path)
    assert sorted(fake.products) == ["a", "c", "g"]
    assert fake.products["a"].name == "A"
    assert (report.tally.rows, report.tally.stored, report.tally.rejected) == (9, 3, 6)
    reasons = rejected()
    assert sorted(reasons) == [2, 3, 5, 6, 7, 9]
    assert reasons[3] == "no id"
    assert reasons[5] == "id already at line 1"
    assert reasons[6] == "name: 1000000 characters, at most 1000"
    assert "--decimal" in reasons[9]
    assert len(rejects_text()) < 10_000
    assert len(report.rejects.first) == 5


async def test_a_mapped_csv_goes_in_with_its_other_columns(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes("URL;Nombre;Precio;Super\nhttp://x/1;Té;3,15\u00a0€;Día\n".encode("utf-8-sig"))
    await imported(address, path, mapping="id=URL,name=Nombre,price=Precio")
    product = fake.products["http://x/1"]
    assert (product.name, product.price, product.currency) == ("Té", "3.15", "EUR")
    assert product.attributes["Super"].string_value == "Día"


async def test_large_rows_are_sent_in_small_batches(
    fake: FakeGateway, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MAX_BATCH_BYTES", 100_000)
    monkeypatch.setattr(convert, "MAX_PRODUCT_BYTES", 150_000)
    path = tmp_path / "p.jsonl"
    sizes = [60_000, 60_000, 30_000, 120_000, 200_000, 10]
    path.write_text(
        "\n".join(
            json.dumps({"id": i, "name": "n", "description": "x" * size})
            for i, size in enumerate(sizes)
        )
    )
    report = await imported(address, path)
    assert sorted(fake.batches) == [1, 1, 1, 2]
    assert report.tally.stored == 5
    assert list(rejected()) == [5]


async def test_moments_of_failure_are_lived_through(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    fake.failures = [Unavailable("down"), Overloaded("too much"), DeadlineExceeded("late")]
    report = await imported(address, products(tmp_path, 1000))
    assert report.failure is None
    assert report.tally.stored == 1000
    assert not fake.failures


async def test_an_import_lives_through_a_restart_of_the_gateway(
    fake: FakeGateway, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    path = products(tmp_path, 3000)
    async with gateway_serving(fake, address):
        importing = asyncio.ensure_future(imported(address, path, batch_size=20))
        while len(fake.batches) < 5:
            assert not importing.done()
            await asyncio.sleep(0)
    # Now it is away, in the middle of the import.
    assert 0 < len(fake.products) < 3000
    assert not importing.done()
    async with gateway_serving(fake, address):
        async with asyncio.timeout(20):
            report = await importing
    assert report.failure is None
    assert report.tally.stored == len(fake.products) == 3000


async def test_what_cannot_succeed_ends_the_import_and_says_where(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    fake.failures = [FailedPrecondition("the disk is full")]
    report = await imported(address, products(tmp_path, 300), batch_size=100)
    assert report.failure is not None
    assert "the disk is full" in report.failure.message
    assert report.failure.message.startswith("lines 1 to 100")


async def test_a_defect_of_the_server_is_not_retried_for_a_minute(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    fake.is_broken = True
    async with asyncio.timeout(5):
        report = await imported(address, products(tmp_path, 10))
    assert report.failure is not None
    assert "internal error" in report.failure.message
    assert "secret" not in report.failure.message


async def test_no_gateway_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"cannot reach a gateway at 127\.0\.0\.1:1") as caught:
        async with asyncio.timeout(5):
            await imported("127.0.0.1:1", products(tmp_path, 10))
    assert "vitrina up" in caught.value.hint


async def test_rows_before_damage_go_in_and_the_damage_is_said(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl.gz"
    lines = "".join(f'{{"id":"{i}","name":"n{i * i}"}}\n' for i in range(5000))
    path.write_bytes(gzip.compress(lines.encode())[:-1000])
    report = await imported(address, path)
    assert report.failure is not None
    assert "damaged" in report.failure.message
    assert 1000 < report.tally.stored == len(fake.products)


async def test_wait_returns_when_the_answering_collection_has_the_last_revision(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    fake.lag = 5
    report = await imported(address, products(tmp_path, 10), wait=True)
    assert report.searchable_seconds is not None
    assert fake.lag == 0
    # A wait, then a look for the bar, in turn; the first look was whether there is a gateway.
    assert fake.waits == [10] * 5


async def test_an_index_that_stands_still_is_said(
    fake: FakeGateway, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "PATIENCE_SECONDS", 0.0)
    fake.lag = 1_000_000
    report = await imported(address, products(tmp_path, 10), wait=True)
    assert report.tally.stored == 10
    assert report.failure is not None
    assert "not searchable yet: the index is at revision 0 of 10" in report.failure.message


async def test_a_cancelled_import_leaves_no_call_behind(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    fake.failures = [Unavailable("down")] * 1000
    importing = asyncio.ensure_future(imported(address, products(tmp_path, 10)))
    await fake.was_called.wait()
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert fake.products == {}
