"""How often a misspelt query still finds what the clean one did, and no clean one worse."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from benchmarks.quality.asking import Answers, asked
from benchmarks.quality.clean import Clean, Named, clean_queries
from benchmarks.quality.misspelling import KINDS, ONE_EDIT_KINDS, Misspelt, plain
from benchmarks.quality.sheets import Sheet, share
from services.catalog.text import vocabulary_words
from services.cli.connection import Target
from services.cli.judgment.asking import Answer
from services.cli.judgment.configs import Config

TOP = 10
_ROUND = 250
_LENGTHS = (("4 or 5 letters", 4, 5), ("6 or 7 letters", 6, 7), ("8 letters and more", 8, 99))


@dataclass(frozen=True)
class Case:
    """A misspelt query, and what was meant."""

    kind: str
    clean: Clean
    misspelt: Misspelt
    # It is a word of the catalog too, so nobody can know that it was meant otherwise.
    is_other_word: bool


@dataclass(frozen=True)
class Outcome:
    """What a case found, corrected and literally."""

    case: Case
    corrected: Answer
    literal: Answer

    @property
    def is_kept(self) -> bool:
        """Whether the clean query's product is still on the first page."""
        return _finds(self.corrected, self.case.clean)

    @property
    def is_kept_literally(self) -> bool:
        """The same, without correction."""
        return _finds(self.literal, self.case.clean)


@dataclass(frozen=True)
class CleanRun:
    """The clean queries that find their product literally, and what correction does to them."""

    queries: list[Clean]
    skipped: int
    # With the corrected query, or the empty text where the product is lost.
    worse: list[tuple[Clean, str]]


def clean_run(target: Target, products: Sequence[Named], count: int, seed: int) -> CleanRun:
    """Ask clean queries until so many find their product, or there are no more."""
    candidates = clean_queries(products, Random(seed))
    found = CleanRun([], 0, [])
    skipped = 0
    while len(found.queries) < count and (some := list(islice(candidates, _ROUND))):
        literal, default = _asked(target, "clean queries", [query.query for query in some])
        for query in some:
            if len(found.queries) == count:
                break
            if not _finds(literal[query.query], query):
                skipped += 1
                continue
            found.queries.append(query)
            answer = default[query.query]
            if answer.corrected_query or not _finds(answer, query):
                found.worse.append((query, answer.corrected_query))
    return CleanRun(found.queries, skipped, found.worse)


def cases_of(queries: Sequence[Clean], products: Sequence[Named], seed: int) -> list[Case]:
    """Misspell each query once by each kind that it allows."""
    known = set[str]().union(*(vocabulary_words(p.name, p.brand, "") for p in products))
    chance = Random(seed)
    cases: list[Case] = []
    for query in queries:
        for kind, misspell in KINDS.items():
            misspelt = misspell(query.words, chance)
            if misspelt is not None:
                words = set(plain(misspelt.query).split()) - set(plain(query.query).split())
                is_other_word = bool(words) and words <= known
                cases.append(Case(kind, query, misspelt, is_other_word))
    return cases


def outcomes_of(target: Target, cases: Sequence[Case]) -> list[Outcome]:
    """Ask every case, corrected and literally."""
    texts = [case.misspelt.query for case in cases]
    literal, default = _asked(target, "misspelt queries", texts)
    return [
        Outcome(case, default[case.misspelt.query], literal[case.misspelt.query]) for case in cases
    ]


def _asked(target: Target, title: str, texts: Sequence[str]) -> tuple[Answers, Answers]:
    """Return the answers by text: literal ones, and those of the gateway's defaults."""
    ways = {"literal": Config(literal=True), "default": Config()}
    answers = asked(target, title, ways, {text: text for text in texts})
    return answers["literal"], answers["default"]


def _finds(answer: Answer, query: Clean) -> bool:
    return query.product_id in answer.product_ids[:TOP]


def sheets_of(run_: CleanRun, outcomes: Sequence[Outcome], catalog: Path, seed: int) -> list[Sheet]:
    """Return the tables: by kind, by the length of the word, and of the clean queries."""
    by_kind: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    for outcome in outcomes:
        by_kind[outcome.case.kind].append(outcome)
    one_edit = [outcome for kind in ONE_EDIT_KINDS for outcome in by_kind[kind]]
    columns = ("", "cases", "kept", "literally", "corrected as meant", "another word")
    kinds = Sheet(
        f"Misspelt queries that keep their product among the first {TOP}",
        columns,
        [_row("one edit, all kinds", one_edit)],
        notes=(
            f"{catalog.name}, seed {seed}: {len(run_.queries)} clean queries that find their "
            f"product by the words as they are, {run_.skipped} others skipped.",
            "literally: the same without correction. another word: the misspelt word is one that "
            "the catalog has too.",
        ),
    )
    kinds.rows += [_row(kind, own) for kind, own in by_kind.items() if own]
    lengths = Sheet("One and two edits, by the length of the word", columns)
    for name, edited in (("one edit", one_edit), ("two edits", by_kind["two edits"])):
        lengths.rows += [
            _row(f"{name}, {label}", own) for label, own in _by_length(edited, _letters_of) if own
        ]
    clean = Sheet("Clean queries", ("", "queries"), [
        ("asked", f"{len(run_.queries)}"),
        ("corrected, though nothing was wrong", f"{sum(bool(to) for _, to in run_.worse)}"),
        ("product lost", f"{sum(not to for _, to in run_.worse)}"),
    ])  # fmt: skip
    return [kinds, lengths, clean]


def _by_length(
    outcomes: Sequence[Outcome], letters: Callable[[Outcome], int]
) -> Iterator[tuple[str, list[Outcome]]]:
    for label, least, most in _LENGTHS:
        yield label, [each for each in outcomes if least <= letters(each) <= most]


def _letters_of(outcome: Outcome) -> int:
    return len(outcome.case.clean.words[outcome.case.misspelt.place])


def _row(label: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    total = len(outcomes)
    counts: dict[str, int] = defaultdict(int)
    for each in outcomes:
        counts["kept"] += each.is_kept
        counts["literally"] += each.is_kept_literally
        counts["as meant"] += _is_as_meant(each)
        counts["other"] += each.case.is_other_word
    shares = (share(counts[name], total) for name in ("kept", "literally", "as meant", "other"))
    return (label, f"{total}", *shares)


def _is_as_meant(outcome: Outcome) -> bool:
    return plain(outcome.corrected.corrected_query) == plain(outcome.case.clean.query)


def write_lost(path: Path, run_: CleanRun, outcomes: Sequence[Outcome]) -> None:
    """Write what was not kept: kind, clean query, misspelt one, corrected one, whether a word."""
    rows = [("worse", query.query, query.query, to, "") for query, to in run_.worse]
    rows += [
        (
            outcome.case.kind,
            outcome.case.clean.query,
            outcome.case.misspelt.query,
            outcome.corrected.corrected_query,
            "another word" if outcome.case.is_other_word else "",
        )
        for outcome in outcomes
        if not outcome.is_kept
    ]
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
