import csv
import gzip
import io
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli import lines as lines_module
from services.cli.failures import Failure
from services.cli.lines import NumberedLines
from services.cli.rows import CsvRows, Row, json_rows


def read_json(path: Path, content: bytes, encoding: str = "utf-8") -> list[Row]:
    path.write_bytes(content)
    with NumberedLines(path, encoding=encoding, newline="\n") as lines:
        return list(json_rows(lines, encoding=encoding))


def read_csv(path: Path, content: bytes, encoding: str = "utf-8") -> list[Row]:
    path.write_bytes(content)
    with NumberedLines(path, encoding=encoding) as lines:
        return list(CsvRows(lines, encoding=encoding))


def good(rows: list[Row]) -> dict[int, dict[str, Any]]:
    return {row.line: row.values for row in rows if not row.problem}


def bad(rows: list[Row]) -> dict[int, str]:
    return {row.line: row.problem for row in rows if row.problem}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "products"


def test_json_rows_know_their_lines_past_blank_ones(file: Path) -> None:
    rows = read_json(file, b'\xef\xbb\xbf{"id":"a"}\r\n\n  \n{"id":"b"}')
    assert good(rows) == {1: {"id": "a"}, 4: {"id": "b"}}


def test_json_numbers_keep_their_digits(file: Path) -> None:
    (row,) = read_json(file, b'{"price": 999999999999.9999, "n": NaN, "i": -Infinity}')
    assert row.values == {"price": Decimal("999999999999.9999"), "n": None, "i": None}


def test_a_bad_json_line_costs_that_line_only(file: Path) -> None:
    lines = [
        b'{"id": "1"}', b'{"id": ', b"[1]", b'"text"', b'{"id": "\xff"}', b"null",
        b'{"n": ' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"id": "9"}',
    ]  # fmt: skip
    rows = read_json(file, b"\n".join(lines))
    assert good(rows) == {1: {"id": "1"}, 9: {"id": "9"}}
    problems = bad(rows)
    assert problems[2].startswith("bad JSON: expecting value, column")
    assert problems[3] == problems[4] == problems[6] == "not a JSON object"
    assert "not utf-8" in problems[5]
    assert "number too long" in problems[7]
    assert "nested too deeply" in problems[8]


@pytest.mark.parametrize("content", [b'[{"id": 1}]', b'[\n{"id": 1}\n]', b'\n[{"id": 1},\n'])
def test_a_json_array_is_refused_as_a_whole_with_a_hint(file: Path, content: bytes) -> None:
    with pytest.raises(Failure, match="JSON array") as caught:
        read_json(file, content)
    assert "jq -c" in caught.value.hint


def test_a_row_that_is_too_long_is_passed_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_ROW_CHARACTERS", 100)
    rows = read_json(file, b'{"id":"a"}\n{"id":"' + b"x" * 1000 + b'"}\n{"id":"b"}\n')
    assert good(rows) == {1: {"id": "a"}, 3: {"id": "b"}}
    assert "longer than" in bad(rows)[2]


def test_a_csv_row_that_is_too_long_is_passed_over_wherever_it_stands(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_ROW_CHARACTERS", 100)
    long = b"2," + b"x" * 1000 + b"\n"
    rows = read_csv(file, b"id,name\n1,a\n" + long + b'3,"c\n' + long + b'5,d\n6,"e\nf"\n')
    assert good(rows) == {
        2: {"id": "1", "name": "a"}, 6: {"id": "5", "name": "d"}, 7: {"id": "6", "name": "e\nf"},
    }  # fmt: skip
    assert list(bad(rows)) == [3, 4, 5]


def test_a_row_keeps_little_once_it_is_used() -> None:
    row = Row(1, "x" * 100_000 + "\n", {"id": "1"})
    row.forget()
    assert len(row.raw) < 2100
    assert row.raw.endswith("(100000 characters)")
    assert row.values == {}


def test_gzip_is_known_by_its_bytes(file: Path) -> None:
    assert good(read_json(file, gzip.compress(b'{"id":"a"}\n'))) == {1: {"id": "a"}}


def test_a_cut_gzip_gives_what_it_has_and_then_fails(file: Path) -> None:
    content = b"".join(json.dumps({"id": i}).encode() + b"\n" for i in range(50_000))
    file.write_bytes(gzip.compress(content)[:-2000])
    seen = 0
    problem = ""
    with NumberedLines(file, newline="\n") as lines:
        try:
            for row in json_rows(lines, encoding="utf-8"):
                assert row.values == {"id": seen}
                seen += 1
        except Failure as failure:
            problem = failure.message
    assert "damaged or end too early" in problem
    assert seen > 1000


def test_utf16_is_read_when_it_is_said(file: Path) -> None:
    assert good(read_json(file, '{"id":"ñ"}\n'.encode("utf-16"), "utf-16")) == {1: {"id": "ñ"}}


def test_an_unknown_encoding_and_a_missing_file_are_wrong_use(tmp_path: Path) -> None:
    for path, encoding in ((tmp_path / "no", "utf-8"), (tmp_path, "utf-8"), (tmp_path, "klingon")):
        with pytest.raises(Failure) as caught:
            NumberedLines(path, encoding=encoding)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_dialect_is_read_off_the_header(file: Path, delimiter: str, end: str) -> None:
    lines = ['id,"a;b\t|name"', "1,x", '2,"y z"']
    content = end.join(lines).replace(",", delimiter).encode("utf-8-sig")
    assert good(read_csv(file, content)) == {
        2: {"id": "1", "a;b\t|name": "x"},
        3: {"id": "2", "a;b\t|name": "y z"},
    }


def test_a_spreadsheets_sep_line_is_no_header(file: Path) -> None:
    assert good(read_csv(file, b"sep=;\nid;name\n1;x\n")) == {3: {"id": "1", "name": "x"}}


def test_quoted_line_breaks_keep_the_line_where_the_row_begins(file: Path) -> None:
    rows = read_csv(file, b'id,text\n1,"one\ntwo\n\nfour"\n2,"a ""b"", c"\n\n,,\n3,x\n')
    assert good(rows) == {
        2: {"id": "1", "text": "one\ntwo\n\nfour"},
        6: {"id": "2", "text": 'a "b", c'},
        9: {"id": "3", "text": "x"},
    }
    assert bad(rows) == {}


@pytest.mark.parametrize(
    "content",
    [
        b'id,name,price\n1,a,1\n2,"b,2\n3,c,3\n4,d,4\n',
        b'id,name,price\n1,a,1\n2,"b,2\n3,"c",3\n4,"d",4\n',
        b'id,name,price\n1,a,1\n2,"b,2\n3,"c",3\n4,"d",4',
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_row_only(file: Path, content: bytes) -> None:
    rows = read_csv(file, content)
    assert [values["id"] for values in good(rows).values()] == ["1", "3", "4"]
    assert list(good(rows)) == [2, 4, 5]
    assert list(bad(rows)) == [3]


def test_an_unclosed_quote_at_the_very_end_is_a_bad_row(file: Path) -> None:
    rows = read_csv(file, b'id,name\n1,a\n2,"b')
    assert list(good(rows)) == [2]
    assert list(bad(rows)) == [3]


def test_a_stray_quote_inside_of_a_cell_is_text(file: Path) -> None:
    assert good(read_csv(file, b'id,name\n1,TV 5" wide\n2,b\n')) == {
        2: {"id": "1", "name": 'TV 5" wide'},
        3: {"id": "2", "name": "b"},
    }


def test_rows_with_too_few_or_too_many_cells_are_named(file: Path) -> None:
    rows = read_csv(file, b"id,name,brand\n1,a\n2,b,c,d\n3,c,d,\n4,d,e\n")
    assert bad(rows) == {2: "2 columns; the header has 3", 3: "4 columns; the header has 3"}
    assert list(good(rows)) == [4, 5]


def test_bad_bytes_in_csv_cost_their_row_only(file: Path) -> None:
    rows = read_csv(file, b"id,name\n1,a\n2,caf\xe9\n3,c\n")
    assert list(good(rows)) == [2, 4]
    assert "--encoding" in bad(rows)[3]
    assert good(read_csv(file, b"id,name\n2,caf\xe9\n", "cp1252"))[2]["name"] == "café"


def test_a_header_that_repeats_or_misses_names_is_usable(file: Path) -> None:
    assert good(read_csv(file, b"id,,x, x \n1,2,3,4\n")) == {2: {"id": "1", "x": "3", "x (2)": "4"}}


@pytest.mark.parametrize("content", [b"", b"\n\n", b'"id,name\n1,a\n', b"id,n\xffme\n1,a\n"])
def test_a_file_without_a_usable_header_is_refused(file: Path, content: bytes) -> None:
    with pytest.raises(Failure) as caught:
        read_csv(file, content)
    assert caught.value.exit_code == 2


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0\ufeff", exclude_categories=["Cs"]),
    max_size=12,
)


@given(st.lists(st.tuples(CELL, CELL), max_size=8))
def test_what_the_csv_module_writes_is_read_back(cells: list[tuple[str, str]]) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(("left", "right"))
    writer.writerows(cells)
    with tempfile.NamedTemporaryFile() as file:
        rows = read_csv(Path(file.name), written.getvalue().encode())
    # A row without anything is none.
    expected = [{"left": left, "right": right} for left, right in cells if left or right]
    assert bad(rows) == {}
    assert list(good(rows).values()) == expected
