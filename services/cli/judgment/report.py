"""An evaluation as people read it."""

from collections.abc import Sequence

from rich.table import Table

from services.cli.judgment.comparison import Difference
from services.cli.judgment.evaluation import SHOWN, Evaluation, Measured
from services.cli.judgment.measures import JUDGED, NAMES, mean
from services.cli.output import cell, console, error_console, inert, plain_table


def show(evaluation: Evaluation, *, per_query: bool) -> None:
    """Print the tables; what makes them doubtful goes to standard error."""
    out = console()
    for own in evaluation.sides:
        out.print(_heading(own, with_name=len(evaluation.sides) > 1), soft_wrap=True)
    out.print()
    if evaluation.differences:
        out.print(_compared_table(evaluation))
        out.print(
            "p: paired randomisation test, two-sided; the chance of so great a difference "
            "between two sides that are equal",
            style="dim",
        )
        for title, gaps in (("A won most", evaluation.won()), ("A lost most", evaluation.lost())):
            if gaps:
                out.print()
                out.print(_queries_table(evaluation, title, "nDCG@10 A - B", gaps, "+.3f"))
    else:
        out.print(_single_table(evaluation.sides[0]))
        worst = evaluation.worst()[:SHOWN]
        out.print()
        out.print(_queries_table(evaluation, "worst", "nDCG@10", worst, ".3f"))
    if per_query:
        out.print()
        out.print(_per_query_table(evaluation))
    out.print()
    for note in _notes(evaluation):
        out.print(note, style="dim", soft_wrap=True)
    for warning in _warnings(evaluation):
        error_console().print(warning, style="yellow", soft_wrap=True)


def _heading(own: Measured, *, with_name: bool) -> str:
    side = own.side
    spaces = sorted({answer.space or "words only" for answer in side.answers.values()})
    name = f"{side.name}: " if with_name else ""
    return inert(f"{name}{side.config} · {side.target.address} · {', '.join(spaces)}")


def _single_table(own: Measured) -> Table:
    table = plain_table()
    table.add_column("measure", no_wrap=True)
    table.add_column("mean", justify="right")
    for name in NAMES:
        table.add_row(cell(name), cell(_number(mean(own.scores, name))))
    for label, (value,) in _other_rows([own]):
        table.add_row(cell(label, "dim"), cell(value, "dim"))
    return table


def _compared_table(evaluation: Evaluation) -> Table:
    table = plain_table()
    table.add_column("measure", no_wrap=True)
    for heading in ("A", "B", "A - B", "A won", "A lost", "tied", "n", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for difference in evaluation.differences:
        style = _style(difference)
        table.add_row(
            cell(difference.measure),
            cell(_number(difference.first)),
            cell(_number(difference.second)),
            cell(f"{difference.difference:+.3f}", style),
            cell(difference.wins),
            cell(difference.losses),
            cell(difference.ties),
            cell(difference.n),
            cell(_chance(difference.p_value), style),
        )
    for label, (first, second) in _other_rows(evaluation.sides):
        table.add_row(cell(label, "dim"), cell(first, "dim"), cell(second, "dim"))
    return table


def _other_rows(sides: Sequence[Measured]) -> list[tuple[str, list[str]]]:
    """Return what is said of each side beside its measures."""
    rows = [
        (f"latency p{percent}, ms", [_number(own.latency_ms(percent), 1) for own in sides])
        for percent in (50, 95)
    ]
    rows.append(("answers", [f"{len(own.side.answers):,}" for own in sides]))
    rows += [
        (f"answers {kind}", [f"{own.side.degraded[kind]:,}" for own in sides])
        for kind in sorted({kind for own in sides for kind in own.side.degraded})
    ]
    if any(own.side.without_results for own in sides):
        rows.append(
            ("answers without results", [f"{len(own.side.without_results):,}" for own in sides])
        )
    if any(own.side.errors for own in sides):
        rows.append(("errors", [f"{len(own.side.errors):,}" for own in sides]))
    return rows


def _queries_table(
    evaluation: Evaluation, title: str, heading: str, rows: list[tuple[str, float]], form: str
) -> Table:
    table = plain_table(title)
    table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("id", max_width=24, no_wrap=True, overflow="ellipsis", style="dim")
    table.add_column("query", overflow="ellipsis", no_wrap=True)
    for query, value in rows:
        table.add_row(cell(format(value, form)), cell(query), cell(evaluation.judged.texts[query]))
    return table


def _per_query_table(evaluation: Evaluation) -> Table:
    """Return one row per measured query; of two sides "A B" in each column."""
    table = plain_table("by query")
    table.add_column("id", max_width=24, no_wrap=True, overflow="ellipsis", style="dim")
    for name in NAMES:
        table.add_column(name, justify="right")
    table.add_column("query", overflow="ellipsis", no_wrap=True)
    for query in evaluation.measured:
        values = [
            cell("  ".join(_number(own.scores[query].get(name)) for own in evaluation.sides))
            for name in NAMES
        ]
        table.add_row(cell(query), *values, cell(evaluation.judged.texts[query]))
    return table


def _notes(evaluation: Evaluation) -> list[str]:
    judged = evaluation.judged
    notes = [f"means over {_queries(evaluation.measured)} with a relevant product"]
    for ids, what in (
        (judged.without_judgments, "without any judgment, not in the means"),
        (judged.without_relevant, "with judgments but no relevant product, not in the means"),
        (judged.not_asked, "with judgments, but not among those to ask"),
    ):
        if ids:
            notes.append(f"{_queries(ids)} {what}: {_named(ids)}")
    return notes


def _warnings(evaluation: Evaluation) -> list[str]:
    warnings = []
    for own in evaluation.sides:
        side, prefix = own.side, f"{own.side.name}: " if len(evaluation.sides) > 1 else ""
        for kind, number in side.degraded.most_common():
            were = "answer was" if number == 1 else "answers were"
            warnings.append(f"{prefix}{number:,} {were} {kind}")
        if side.errors:
            failed = list(side.errors)
            warnings.append(
                f"{prefix}{_queries(failed)} not answered, and left out of the means: "
                f"{_named(failed)}"
            )
            reasons = dict.fromkeys(side.errors.values())
            warnings += [f"  {inert(reason)}" for reason in list(reasons)[:SHOWN]]
        if not mean(own.scores, JUDGED):
            warnings.append(
                f"{prefix}no result is judged: is this the catalog that the judgments are of?"
            )
    return warnings


def _queries(ids: Sequence[str]) -> str:
    return f"{len(ids):,} {'query' if len(ids) == 1 else 'queries'}"


def _named(ids: Sequence[str]) -> str:
    rest = len(ids) - SHOWN
    return inert(", ".join(ids[:SHOWN])) + (f" and {rest:,} more" if rest > 0 else "")


def _number(value: float | None, decimals: int = 3) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _chance(p_value: float | None) -> str:
    if p_value is None:
        return "-"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _style(difference: Difference) -> str:
    """Return a colour where chance explains the difference badly."""
    if difference.p_value is None or difference.p_value >= 0.05:
        return ""
    return "green" if difference.difference > 0 else "red"
