"""Queries to a running gateway, in several ways at once."""

from collections import Counter
from collections.abc import Mapping, Sequence

from services.cli.connection import Target, run
from services.cli.failures import Failure
from services.cli.judgment.asking import Answer, Side, ask, side_of
from services.cli.judgment.configs import Config
from services.cli.progress import stage

# The machine answers and asks at once; with more in flight answers would be late.
MAX_CONCURRENCY = 4
_ATTEMPTS = 3

Answers = Mapping[str, Answer]


def asked(
    target: Target, title: str, ways: Mapping[str, Config], texts: Mapping[str, str]
) -> dict[str, Answers]:
    """Return the answers by way, and by the id of the query.

    Never from a cache. What was late on a busy machine is asked again. Raises Failure
    if an answer is missing after that, or not as it should be.
    """
    found: dict[str, dict[str, Answer]] = {name: {} for name in ways}
    left = texts
    for _ in range(_ATTEMPTS):
        sides = [side_of(name, config, target) for name, config in ways.items()]
        with stage(title, is_silent=False) as bar:
            run(ask(sides, left, concurrency=MAX_CONCURRENCY, bar=bar))
        for side in sides:
            found[side.name] |= {i: a for i, a in side.answers.items() if not a.degraded}
        left = {i: text for i, text in left.items() if any(i not in own for own in found.values())}
        if not left:
            return dict(found)
    raise Failure(_problem(sides))


def _problem(sides: Sequence[Side]) -> str:
    for side in sides:
        for query, problem in side.errors.items():
            return f"{query} was not answered: {problem}"
    degraded = sum((side.degraded for side in sides), Counter[str]())
    return f"answers are not as they should be: {dict(degraded)}"
