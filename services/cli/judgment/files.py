"""Judged queries from files: what is asked, and how good each product is for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.failures import WRONG_USE, Failure
from services.cli.lines import NumberedLines, RowTooLong, holds_bad_bytes

# The gain is 2^grade - 1, and a table of that length is laid out to measure with.
MAX_GRADE = 10


@dataclass(frozen=True)
class JudgedQueries:
    """Texts by query id, and grades (0 is bad, 1 and above relevant) by query and product id."""

    texts: dict[str, str]
    grades: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def measurable(self) -> list[str]:
        """Queries with a relevant product: on others no ranking is better than another."""
        return [query for query in self.texts if self._has_relevant(query)]

    @property
    def without_judgments(self) -> list[str]:
        """Queries of which no product was judged."""
        return [query for query in self.texts if query not in self.grades]

    @property
    def without_relevant(self) -> list[str]:
        """Queries of which products were judged, and none was found relevant."""
        return [q for q in self.texts if q in self.grades and not self._has_relevant(q)]

    @property
    def not_asked(self) -> list[str]:
        """Queries that were judged and are not among those to ask."""
        return [query for query in self.grades if query not in self.texts]

    def _has_relevant(self, query: str) -> bool:
        return any(grade > 0 for grade in self.grades.get(query, {}).values())


def read_judged_queries(queries: Path, qrels: Path, *, encoding: str = "utf-8") -> JudgedQueries:
    """Read both files. Raises Failure, with the line, for what cannot be measured with."""
    judged = JudgedQueries(read_texts(queries, encoding), _read_grades(qrels, encoding))
    if not judged.measurable:
        raise Failure(
            f"no query of {queries} has a relevant product in {qrels}",
            hint="the first column of both must be the same ids, and some grades above 0",
            exit_code=WRONG_USE,
        )
    return judged


def read_texts(path: Path, encoding: str) -> dict[str, str]:
    """Read queries by their ids, in the file's order. Raises Failure as above."""
    texts: dict[str, str] = {}
    first_line: dict[str, int] = {}
    for number, line in _lines_of(path, encoding):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise _broken(path, number, "must be an id, a tab, and the query's text")
        query, text = cells
        if query in texts:
            raise _broken(path, number, f"query {query} was at line {first_line[query]} already")
        texts[query], first_line[query] = text, number
    if not texts:
        raise Failure(f"{path}: holds no queries", exit_code=WRONG_USE)
    return texts


def _read_grades(path: Path, encoding: str) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    for number, line in _lines_of(path, encoding):
        query, product, grade = _judgment(path, number, line)
        before = grades.setdefault(query, {}).setdefault(product, grade)
        if before != grade:
            raise _broken(
                path, number, f"query {query}, product {product}: {before} before, {grade} now"
            )
    if not grades:
        raise Failure(f"{path}: holds no judgments", exit_code=WRONG_USE)
    return grades


def _judgment(path: Path, number: int, line: str) -> tuple[str, str, int]:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) == 1:  # with tabs an id may hold blanks
        cells = line.split()
    if len(cells) != 4 or not all(cells):
        raise _broken(path, number, "must be 4 columns: query 0 product grade")
    query, _, product, grade = cells
    if not (grade.isascii() and grade.isdigit() and len(grade) <= 2 and int(grade) <= MAX_GRADE):
        raise _broken(path, number, f"grade {grade}: must be a whole number, 0 to {MAX_GRADE}")
    return query, product, int(grade)


def _lines_of(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Give each line that is not blank, with its number."""
    try:
        with NumberedLines(path, encoding=encoding) as lines:
            for line in lines:
                if holds_bad_bytes(line):
                    raise _broken(path, lines.number, f"is no {encoding} text")
                if line.strip():
                    yield lines.number, line.rstrip("\r\n")
    except RowTooLong:
        raise _broken(path, lines.number, "is too long") from None
    except Failure as failure:  # without hints that are about imports
        raise Failure(failure.message, exit_code=WRONG_USE) from None


def _broken(path: Path, number: int, problem: str) -> Failure:
    return Failure(f"{path}, line {number}: {problem}", exit_code=WRONG_USE)
