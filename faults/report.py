"""The report of a run, as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence

from faults.history import Violation
from faults.verdict import Outcome

_SHOWN_VIOLATIONS = 40


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed; 0 where there are none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def as_markdown(outcome: Outcome) -> str:
    """Return the whole report."""
    parts = [
        _summary(outcome),
        _faults(outcome),
        _recovery(outcome),
        _searches(outcome),
        _errors(outcome),
        _growth(outcome),
        *_late_writes(outcome),
        _violations(outcome),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _summary(outcome: Outcome) -> str:
    settings, history = outcome.run.settings, outcome.run.history
    searches = [call for call in outcome.run.calls.made if call.kind == "search"]
    writes = [write for of in history.writes.values() for write in of]
    acknowledged = sum(write.revision is not None for write in writes)
    repeat = f"python -m faults --seed {settings.seed} --kills {settings.kills}"
    if settings.seconds:
        repeat += f" --seconds {settings.seconds:g}"
    return f"# Faults: {len(outcome.violations)} violations\n\n`{repeat}`\n\n" + _table(
        ["what", "how many"],
        [
            ["seconds", f"{outcome.ended - outcome.run.began:.0f}"],
            ["kills", len(outcome.run.injector.kills)],
            ["other faults", len(outcome.run.injector.faults) - len(outcome.run.injector.kills)],
            ["searches", len(searches)],
            ["of them answered", sum(not call.status for call in searches)],
            ["answers checked", outcome.run.oracle.checked + outcome.rule_answers],
            ["comparisons with the history", outcome.run.oracle.comparisons],
            ["writes", len(writes)],
            ["acknowledged", acknowledged],
            ["revisions", history.head],
            ["unacknowledged writes that came after later ones", len(outcome.late_writes)],
            ["searches after the end", outcome.searches_at_end],
            ["**violations**", f"**{len(outcome.violations)}**"],
        ],
    )


def _faults(outcome: Outcome) -> str:
    counts = Counter((fault.kind.value, fault.target) for _, fault in outcome.run.injector.faults)
    return "## Faults\n\n" + _table(
        ["kind", "target", "times"],
        [[kind, target, times] for (kind, target), times in sorted(counts.items())],
    )


def _recovery(outcome: Outcome) -> str:
    recoveries = outcome.run.injector.recoveries
    rows = []
    for name in [*sorted({r.target for r in recoveries}), "all"]:
        of = [r for r in recoveries if name in (r.target, "all")]
        alone = [r.seconds for r in of if r.is_alone]
        every = [r.seconds for r in of]
        rows.append(
            [
                name,
                len(of),
                len(alone),
                *(f"{percentile(alone, share):.2f}" for share in (0.5, 0.99)),
                *(f"{percentile(every, share):.2f}" for share in (0.5, 0.99, 1.0)),
            ]
        )
    return (
        "## Recovery\n\nSeconds from the last fault until every process serves and a fresh write is"
        " found by meaning\nthrough both gateways, without a label. The supervisor waits 0.2 s"
        " before it starts a process again,\nand up to 5 s if that one dies again and again.\n\n"
        + _table(
            ["killed", "kills", "alone", "p50 alone", "p99 alone", "p50", "p99", "longest"], rows
        )
    )


def _searches(outcome: Outcome) -> str:
    answered = [
        call for call in outcome.run.calls.made if call.kind == "search" and not call.status
    ]
    labels: Counter[str] = Counter()
    for call in answered:
        names = [label.removeprefix("DEGRADATION_") for label in call.labels]
        labels["+".join(sorted(names)) or "none"] += 1
    provenances = Counter(call.provenance.removeprefix("PROVENANCE_") for call in answered)
    milliseconds = [1000 * (call.ended - call.started) for call in answered]
    rows = [[label, count] for label, count in labels.most_common()]
    rows += [[f"from {name.lower()}", count] for name, count in provenances.most_common()]
    figures = ", ".join(
        f"{name} {percentile(milliseconds, share):.0f} ms"
        for name, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1.0))
    )
    return f"## Answers\n\nLatency through all of it: {figures}.\n\n" + _table(
        ["label", "answers"], rows
    )


def _errors(outcome: Outcome) -> str:
    counts = Counter(
        (call.kind, call.status, call.reason or "none", _cause(excuse))
        for call, excuse in outcome.errors
    )
    return "## Errors\n\n" + _table(
        ["of", "status", "reason", "while", "times"],
        [[*key, times] for key, times in sorted(counts.items(), key=lambda item: -item[1])],
    )


def _cause(excuse: str) -> str:
    """Return an excuse without its duration."""
    words = excuse.split()
    return " ".join((words[0], words[-1])) if len(words) > 1 else excuse or "**nothing**"


def _growth(outcome: Outcome) -> str:
    return (
        "## Growth\n\nOf the longest life of each process, after its first"
        " 20 s: from then to its end.\n\n"
        + _table(
            ["process", "lives", "seconds", "MiB", "files", "threads"],
            [
                [
                    grown.name,
                    grown.lives,
                    f"{grown.seconds:.0f}",
                    f"{grown.mib[0]:.0f} → {grown.mib[1]:.0f}",
                    f"{grown.files[0]} → {grown.files[1]}",
                    f"{grown.threads[0]} → {grown.threads[1]}",
                ]
                for grown in outcome.growth
            ],
        )
    )


def _late_writes(outcome: Outcome) -> list[str]:
    if not outcome.late_writes:
        return []
    told = "\n".join(f"- {late}" for late in outcome.late_writes)
    return [f"## Unacknowledged writes that came after later ones\n\n{told}"]


def _violations(outcome: Outcome) -> str:
    if not outcome.violations:
        return "## Violations\n\nNone."
    counts = Counter(violation.rule for violation in outcome.violations)
    shown = [_violation(violation, outcome) for violation in outcome.violations[:_SHOWN_VIOLATIONS]]
    return "\n\n".join(
        [
            "## Violations",
            _table(["rule", "times"], [[rule, n] for rule, n in counts.most_common()]),
            *shown,
        ]
    )


def _violation(violation: Violation, outcome: Outcome) -> str:
    at = violation.at - outcome.run.began
    before = [
        f"{when - outcome.run.began:.2f} s {fault}"
        for when, fault in outcome.run.injector.faults
        if violation.at - 15 < when <= violation.at
    ]
    lines = [f"**{violation.rule}** at {at:.2f} s: {violation.text}", ""]
    for name, value in {**violation.details, "faults before": before}.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"    {name}: {' '.join(str(each).split())}" for each in values]
    return "\n".join(lines)
