"""Queries, judgments and configs: what is understood, and what is refused with its place."""

import gzip
from pathlib import Path

import pytest

from services.cli.failures import WRONG_USE, Failure
from services.cli.judgment.configs import Config, parse_config
from services.cli.judgment.files import JudgedQueries, read_judged_queries

QUERIES = b"q1\tlamp\r\n\r\nq2\tred chair\n"
QRELS = b"q1 0 L-1 3\nq1 0 L-2 0\n"


def read(folder: Path, queries: bytes, qrels: bytes, encoding: str = "utf-8") -> JudgedQueries:
    (folder / "queries.tsv").write_bytes(queries)
    (folder / "qrels.tsv").write_bytes(qrels)
    return read_judged_queries(folder / "queries.tsv", folder / "qrels.tsv", encoding=encoding)


def test_blanks_and_tabs_part_judgments_and_with_tabs_ids_hold_blanks(tmp_path: Path) -> None:
    judged = read(tmp_path, QUERIES, QRELS + b"q2\t0\tRED 1\t2\n")
    assert judged.texts == {"q1": "lamp", "q2": "red chair"}
    assert judged.grades == {"q1": {"L-1": 3, "L-2": 0}, "q2": {"RED 1": 2}}


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    judged = read(tmp_path, QUERIES + b"q3\tsofa\n", QRELS + b"q3 0 S 0\nq9 0 S 1\n")
    assert judged.measurable == ["q1"]
    assert judged.without_judgments == ["q2"]
    assert judged.without_relevant == ["q3"]
    assert judged.not_asked == ["q9"]


def test_compressed_files_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    judged = read(tmp_path, gzip.compress(QUERIES), b"\xef\xbb\xbf" + QRELS)
    assert judged.measurable == ["q1"]


def test_other_encodings_are_read_when_named(tmp_path: Path) -> None:
    queries = "q1\tcafetería\n".encode("cp1252")
    assert read(tmp_path, queries, QRELS, "cp1252").texts == {"q1": "cafetería"}


@pytest.mark.parametrize(
    ("queries", "qrels", "problem"),
    [
        (b"q1 lamp\n", QRELS, "queries.tsv, line 1: must be an id, a tab"),
        (b"q1\tlamp\nq2\t \n", QRELS, "queries.tsv, line 2: must be"),
        (b"q1\tlamp\tmore\n", QRELS, "queries.tsv, line 1: must be"),
        (b"q1\tlamp\n\nq1\tchair\n", QRELS, "line 3: query q1 was at line 1 already"),
        (b"q1\tlamp\nq2\tcaf\xe9\n", QRELS, "queries.tsv, line 2: is no utf-8 text"),
        (b"\n\n", QRELS, "queries.tsv: holds no queries"),
        (b"", QRELS, "queries.tsv: holds no queries"),
        (QUERIES, b"", "qrels.tsv: holds no judgments"),
        (QUERIES, b"q1 0 L-1\n", "qrels.tsv, line 1: must be 4 columns"),
        (QUERIES, QRELS + b"q1 0 L-3 good\n", "qrels.tsv, line 3: grade good: must be"),
        (QUERIES, b"q1 0 L-3 -1\n", "line 1: grade -1: must be a whole number, 0 to 10"),
        (QUERIES, b"q1 0 L-3 99\n", "grade 99"),
        (QUERIES, QRELS + b"q1 0 L-1 2\n", "line 3: query q1, product L-1: 3 before, 2 now"),
        (QUERIES, b"q1 0 L-1 0\n", "has a relevant product in"),
        (QUERIES, b"x 0 L-1 3\n", "has a relevant product in"),
        (QUERIES, gzip.compress(QRELS)[:-9], "qrels.tsv: the compressed data are damaged"),
    ],
)
def test_files_that_cannot_be_measured_with_are_refused(
    tmp_path: Path, queries: bytes, qrels: bytes, problem: str
) -> None:
    with pytest.raises(Failure) as refused:
        read(tmp_path, queries, qrels)
    assert problem in refused.value.message
    assert refused.value.exit_code == WRONG_USE
    assert "import" not in refused.value.hint


def test_missing_files_and_unknown_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no such encoding"):
        read(tmp_path, QUERIES, QRELS, "klingon")
    with pytest.raises(Failure, match="no such file"):
        read_judged_queries(tmp_path / "none", tmp_path / "qrels.tsv")


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("mode=lexical", Config(mode="lexical")),
        (" mode = hybrid , semantic_weight=0.25", Config(mode="hybrid", semantic_weight=0.25)),
        ("diversity=0,without_rules=TRUE", Config(diversity=0, without_rules=True)),
        ("order_by=price desc", Config(order_by="price desc")),
        ("literal=True,address=shop:50050", Config(literal=True, address="shop:50050")),
        ('category="TV, Audio > Radio"', Config(category="TV, Audio > Radio")),
        (
            'filter=brand = "A, B" AND price<10,mode=semantic',
            Config(filter='brand = "A, B" AND price<10', mode="semantic"),
        ),
        (r'filter=brand = "4\" , 5"', Config(filter=r'brand = "4\" , 5"')),
    ],
)
def test_a_config_may_stand_in_the_option(text: str, config: Config) -> None:
    assert parse_config(text, option="--config") == config


def test_a_config_may_be_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text('mode = "hybrid"\nsemantic_weight = 1\nliteral = true\nfilter = "price < 5"\n')
    assert parse_config(str(path), option="--against") == Config(
        mode="hybrid", semantic_weight=1, literal=True, filter="price < 5"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mood=good,mode=lexical,wieght=1", "--config: unknown: mood, wieght"),
        ("mode=fuzzy", "--config: mode: 'fuzzy' given, must be lexical, semantic or hybrid"),
        ("semantic_weight=2", "semantic_weight: 2.0 given, must be a number, 0 to 1"),
        ("diversity=1.5", "diversity: 1.5 given, must be a number, 0 to 1"),
        ("without_rules=1", "without_rules: '1' given, must be true or false"),
        ("semantic_weight=nan", "semantic_weight: nan given"),
        ("semantic_weight=much", "semantic_weight: 'much' given"),
        ("literal=perhaps", "literal: 'perhaps' given, must be true or false"),
        ("category=", "category: '' given"),
        ("mode=lexical,mode=hybrid", "--config: mode is there twice"),
        ('filter=brand="A', "--config: a quote is not closed"),
        ("lexical", "'lexical' is neither key=value nor a file"),
        (",", "--config: is empty"),
        ("none.toml", "none.toml: no such file"),
    ],
)
def test_configs_that_mean_nothing_are_refused(text: str, problem: str) -> None:
    with pytest.raises(Failure) as refused:
        parse_config(text, option="--config")
    assert problem in refused.value.message
    assert refused.value.exit_code == WRONG_USE


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"mode = ", "no TOML"),
        (b"mode = '\xff'", "no TOML: not UTF-8"),
        (b"literal = 1", "literal: 1 given, must be true or false"),
        (b"semantic_weight = true", "semantic_weight: True given"),
        (b"mode = ['lexical']", "mode: ['lexical'] given"),
        (b"[search]\nmode = 'lexical'", "unknown: search"),
    ],
)
def test_files_that_are_no_config_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(Failure) as refused:
        parse_config(str(path), option="--config")
    assert problem in refused.value.message
    assert "c.toml" in refused.value.message
