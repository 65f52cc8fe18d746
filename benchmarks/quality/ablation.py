"""What each part of a search is good for: judged queries, with parts changed or left out."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import running_stack, vitrina
from benchmarks.quality.asking import Answers, asked
from benchmarks.quality.sheets import Sheet
from services.cli.connection import Target
from services.cli.judgment.asking import DEPTH
from services.cli.judgment.comparison import differences
from services.cli.judgment.configs import Config
from services.cli.judgment.files import JudgedQueries
from services.cli.judgment.measures import (
    CONDENSED,
    NDCG,
    RECALL,
    RECIPROCAL_RANK,
    Scores,
    mean,
    scores_by_query,
)

DEFAULT = "default"
_WORDS, _MEANING = "words alone", "meaning alone"
_MEASURES = (NDCG, CONDENSED, RECALL, RECIPROCAL_RANK)

# Ways to ask one running gateway.
REQUESTS = {
    DEFAULT: Config(),
    _WORDS: Config(mode="lexical"),
    _MEANING: Config(mode="semantic"),
    "literal, no correction": Config(literal=True),
    "part of meaning 0.3": Config(semantic_weight=0.3),
    "part of meaning 0.4": Config(semantic_weight=0.4),
    "part of meaning 0.5": Config(semantic_weight=0.5),
}
# Processes started with other settings.
SETTINGS = {
    "text weights 10, 4, 3, 2, 1": {
        "VITRINA_TEXT_WEIGHTS": "name=10,brand=4,category=3,description=2,attributes=1"
    },
    "without feedback": {"VITRINA_FEEDBACK_PRODUCTS": "0"},
}
# The constant of Cormack, Clarke and Büttcher, "Reciprocal rank fusion" (2009).
_RECIPROCAL_K = 60
_TIMEOUT_SECONDS = 30.0


def answers_of(judged: JudgedQueries, data_dir: Path, catalog: Path | None) -> dict[str, Answers]:
    """Start the processes anew for each setting, and ask all queries in all ways.

    A catalog is imported first; else the folder must hold one. Raises Failure.
    """
    with running_stack(data_dir) as stack:
        if catalog is not None:
            vitrina("import", str(catalog), "--wait", address=stack.grpc)
        target = Target(stack.grpc, _TIMEOUT_SECONDS)
        answers = asked(target, "requests", REQUESTS, judged.texts)
    for name, variables in SETTINGS.items():
        with environment(variables), running_stack(data_dir) as stack:
            target = Target(stack.grpc, _TIMEOUT_SECONDS)
            answers |= asked(target, name, {name: Config()}, judged.texts)
    name = f"reciprocal ranks, k {_RECIPROCAL_K}"
    return answers | {name: _reciprocal(answers[_WORDS], answers[_MEANING])}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started inside the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _reciprocal(words: Answers, meaning: Answers) -> Answers:
    """Fuse two answers by 1 / (k + rank), with the same weight for both; as deep as they are."""
    return {
        query: replace(answer, product_ids=_by_ranks(answer.product_ids, words[query].product_ids))
        for query, answer in meaning.items()
    }


def _by_ranks(*rankings: tuple[str, ...]) -> tuple[str, ...]:
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, product_id in enumerate(ranking, start=1):
            scores[product_id] = scores.get(product_id, 0.0) + 1 / (_RECIPROCAL_K + rank)
    return tuple(sorted(scores, key=lambda product_id: -scores[product_id])[:DEPTH])


def sheet_of(judged: JudgedQueries, answers: Mapping[str, Answers]) -> Sheet:
    """Return the table of means, and how likely chance alone parts each from the default."""
    scores = {
        name: scores_by_query(
            {query: own[query].product_ids for query in judged.measurable}, judged.grades
        )
        for name, own in answers.items()
    }
    sheet = Sheet(
        "Judged queries, with parts of the search changed or left out",
        ("", *_MEASURES, f"p of {NDCG}"),
        notes=(
            f"Means over {len(judged.measurable)} queries. p: paired randomisation test against "
            f"the {DEFAULT}, two-sided. Answers hold {DEPTH} products, and so do the two that "
            "reciprocal ranks fuse.",
        ),
    )
    for name, own in scores.items():
        chance = "" if name == DEFAULT else _chance(scores[DEFAULT], own)
        sheet.rows.append((name, *(f"{mean(own, m) or 0:.3f}" for m in _MEASURES), chance))
    return sheet


def _chance(first: Mapping[str, Scores], second: Mapping[str, Scores]) -> str:
    by_measure = {each.measure: each for each in differences(first, second)}
    p_value = by_measure[NDCG].p_value
    if p_value is None:
        return "-"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"
