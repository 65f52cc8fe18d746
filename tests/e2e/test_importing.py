"""Files as shops have them: broken rows are named, good rows go in, twice changes nothing."""

import json
from pathlib import Path

import pytest

from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


def broken_file(folder: Path) -> tuple[Path, list[str], dict[int, str]]:
    """A file with good ids, and by line what is wrong with the others."""
    good = '{{"id": "{}", "name": "Taza {}", "price": 4.50, "currency": "EUR"}}'
    lines: list[bytes] = []
    wrong: dict[int, str] = {}
    ids: list[str] = []

    def bad(line: bytes, reason: str) -> None:
        lines.append(line)
        wrong[len(lines)] = reason

    def fine(product_id: str) -> None:
        lines.append(good.format(product_id, product_id).encode())
        ids.append(product_id)

    fine("taza-1")
    bad(b'{"id": "x1", "name": "Taza", ', "JSON")
    fine("taza-2")
    bad(b'{"name": "Sin id", "price": 1}', "id")
    bad(b'{"id": "x2", "name": "Taza", "price": "abc"}', "price")
    fine("taza-3")
    bad(b'{"id": "x3", "name": "' + b"n" * 1_000_000 + b'"}', "name")
    bad(good.format("taza-1", "again").encode(), "line 1")
    bad(b'{"id": "x4", "name": "Taza\\u0000"}', "name")
    bad(b'{"id": "x5", "name": "Taza \x00"}', "")
    fine("taza-4")
    bad('{"id": "x6", "name": "Café"}'.encode("latin-1"), "utf-8")
    bad(b"[1, 2, 3]", "object")
    fine("taza-5")
    file = folder / "tazas.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file, ids, wrong


async def test_broken_rows_are_named_and_lose_no_good_one(
    sample_stack: Stack, tmp_path: Path
) -> None:
    file, ids, wrong = broken_file(tmp_path)
    code, out, err = await sample_stack.cli("import", str(file), "--wait", "--json", cwd=tmp_path)
    assert code == 3, err
    summary = json.loads(out)
    assert summary["stored"] == len(ids)
    assert summary["rejected"] == len(wrong)
    rejects = (tmp_path / "tazas.jsonl.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    by_line = {row["line"]: row["reason"] for row in map(json.loads, rejects)}
    assert set(by_line) == set(wrong)
    for line, part in wrong.items():
        assert part in by_line[line], (line, by_line[line])

    stored = await sample_stack.all_products()
    assert set(ids) <= set(stored)
    assert not {f"x{n}" for n in range(1, 7)} & set(stored)
    assert stored["taza-1"].name == "Taza taza-1"
    assert stored["taza-1"].price == "4.50"


async def test_the_same_file_again_changes_nothing(sample_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "velas.csv"
    file.write_text(
        "Referencia;Nombre;Precio;Marca\nV-1;Vela de cera;3,15 €;Lumbra\n"
        "V-2;Vela aromática;1.234,50 €;Lumbra\n",
        encoding="utf-8",
    )
    mapping = "id=Referencia,name=Nombre,price=Precio,brand=Marca"
    arguments = ("import", str(file), "--map", mapping, "--wait", "--json")
    first, again = [await sample_stack.cli(*arguments, cwd=tmp_path) for _ in range(2)]
    created, unchanged = json.loads(first[1]), json.loads(again[1])
    assert (created["created"], created["rejected"]) == (2, 0)
    assert (unchanged["created"], unchanged["updated"], unchanged["unchanged"]) == (0, 0, 2)
    assert unchanged["revision"] == created["revision"]
    stored = await sample_stack.all_products()
    assert [stored[i].price for i in ("V-1", "V-2")] == ["3.15", "1234.50"]
    assert stored["V-1"].currency == "EUR"
