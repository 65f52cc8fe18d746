"""The tables of a run."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.peers.driving import SLOW_QUERIES, SLOW_SECONDS, Case
from benchmarks.peers.protocol import Way
from benchmarks.peers.results import VITRINA, Outcome, Spread
from benchmarks.quality.sheets import Sheet
from benchmarks.report import told


def sheets_of(outcome: Outcome) -> list[Sheet]:
    """Return all tables."""
    return [_latencies(outcome), _ratios(outcome), _found(outcome), _costs(outcome)]


def as_markdown(outcome: Outcome, picture: str) -> str:
    """Return the whole report."""
    queries = len(outcome.task.queries)
    parts = [
        "# Vitrina beside its peers",
        "",
        f"{outcome.products:,} products, {queries:,} queries, a query's text in and "
        f"{outcome.task.k} whole products out, one query at a time. {told(outcome.machine)}",
        "",
        f"`{outcome.command}`",
        "",
        f"![{picture}]({picture})",
        "",
        *(sheet.as_markdown() for sheet in sheets_of(outcome)),
        _settings(outcome),
    ]
    return "\n".join(parts)


def as_json(outcome: Outcome) -> str:
    """Return every single answer, by case."""
    cases = [
        asdict(case) | {"answers": {number: asdict(answer) for number, answer in found.items()}}
        for case, found in outcome.answers.items()
    ]
    return json.dumps({"queries": list(outcome.task.queries), "cases": cases})


def _rows(outcome: Outcome) -> list[tuple[str, Way]]:
    return list(dict.fromkeys((case.system, case.way) for case in outcome.answers))


def _latencies(outcome: Outcome) -> Sheet:
    filters = ["", *outcome.task.bounds]
    sheet = Sheet(
        "Latency, ms: median (quartiles), 99th percentile",
        ("engine", "way", "no filter", *(_filter_name(outcome, name) for name in filters[1:])),
        notes=(
            "All engines run at once and are asked each query in turn, in an order of chance. "
            "Timed in the process of the engine's client, from the text to the products; the "
            "vector of the query, made by the same model in one thread, is part of each "
            f"(median {outcome.embedding_ms():.1f} ms in the clients' processes).",
            f"A search that takes more than {1000 * SLOW_SECONDS:.0f} ms was asked for "
            f"{SLOW_QUERIES} queries only (marked *).",
        ),
    )
    for system, way in _rows(outcome):
        cells = (_spread(outcome, Case(system, way, name)) for name in filters)
        sheet.rows.append((system, way.value, *cells))
    return sheet


def _filter_name(outcome: Outcome, name: str) -> str:
    return f"price < {outcome.task.bounds[name]:g} ({outcome.passing[name]:.1%} pass)"


def _spread(outcome: Outcome, case: Case) -> str:
    answers = outcome.answers.get(case)
    if not answers:
        return ""
    spread = Spread.of(answers)
    mark = "" if spread.count == len(outcome.task.queries) else "*"
    return f"{spread.median:.1f}{mark} ({spread.q1:.1f}-{spread.q3:.1f}), {spread.p99:.1f}"


def _ratios(outcome: Outcome) -> Sheet:
    filters = ["", *outcome.task.bounds]
    names = ["no filter", *outcome.task.bounds]
    sheet = Sheet(
        "Vitrina's median divided by that of",
        (
            "engine",
            "way",
            *(f"hybrid, {name}" for name in names),
            *(f"vector, {name}" for name in names),
        ),
        notes=(
            "Hybrid and vector are Vitrina's ways, each with the same filter on both sides. "
            "In brackets: 95 % bootstrap intervals over the queries.",
        ),
    )
    for system, way in _rows(outcome):
        if system != VITRINA:
            theirs = [Case(system, way, name) for name in filters]
            sheet.rows.append(
                (system, way.value, *(_ratio(outcome, ours, their)
                                      for ours in (Way.HYBRID, Way.VECTOR) for their in theirs))
            )  # fmt: skip
    return sheet


def _ratio(outcome: Outcome, ours: Way, theirs: Case) -> str:
    mine = Case(VITRINA, ours, theirs.filter)
    if mine not in outcome.answers or theirs not in outcome.answers:
        return ""
    return str(outcome.ratio(mine, theirs))


def _found(outcome: Outcome) -> Sheet:
    k = outcome.task.k
    names = ["", *outcome.task.bounds]
    sheet = Sheet(
        "What is found",
        (
            "engine",
            "way",
            *(f"recall@{k}, {name or 'no filter'}" for name in names),
            "in common with Vitrina's hybrid",
            "with its vector way",
        ),
        notes=(
            f"Recall: the share of the {k} truly nearest, by a scan of the same vectors; ties with "
            "the last one count. Of hybrid searches there is no such truth; Vitrina's moves the "
            "query's vector by what it found first.",
        ),
    )
    for system, way in _rows(outcome):
        recalls = (outcome.recalls.get(Case(system, way, name)) for name in names)
        sheet.rows.append(
            (
                system,
                way.value,
                *("" if recall is None else f"{recall:.3f}" for recall in recalls),
                *(
                    f"{outcome.overlap(Case(VITRINA, ours), Case(system, way)):.2f}"
                    for ours in (Way.HYBRID, Way.VECTOR)
                ),
            )
        )
    return sheet


def _costs(outcome: Outcome) -> Sheet:
    sheet = Sheet(
        "What it needs",
        ("engine", "version", "load, s", "resident memory, MiB", "on disk, MiB"),
        notes=(
            "Load: from products and their vectors in memory until a search is answered, indexes "
            "built. Vitrina takes no vectors from outside: its import has all texts embedded.",
            "Memory: of all processes after the searches, the model among them.",
        ),
    )
    for system, costs in outcome.costs.items():
        figures = (f"{costs.memory_mib:,.0f}", f"{costs.disk_mib:,.0f}")
        load = f"{costs.load_seconds:.1f}{' (embedding)' if system == VITRINA else ''}"
        sheet.rows.append((system, costs.greeting.version, load, *figures))
    return sheet


def _settings(outcome: Outcome) -> str:
    lines: Sequence[str] = [
        f"- **{system}**: {costs.greeting.settings}." for system, costs in outcome.costs.items()
    ]
    return "\n".join(["### Settings", "", *lines, ""])
