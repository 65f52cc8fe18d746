"""The latency of searches through the faults, as a picture."""

from pathlib import Path

from faults.schedule import Kind
from faults.verdict import Outcome


def plotted(outcome: Outcome, file: Path) -> None:
    """Draw every search over time, answered, degraded or failed, and every fault."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    searches = [call for call in outcome.run.calls.made if call.kind == "search"]
    kinds = (
        ("answered", "#2b6cb0", [c for c in searches if not c.status and not c.labels]),
        ("answered, labelled", "#dd9a1c", [c for c in searches if not c.status and c.labels]),
        ("failed", "#c53030", [c for c in searches if c.status]),
    )
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(14, 7), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    for name, color, calls in kinds:
        above.scatter(
            [call.started - outcome.run.began for call in calls],
            [1000 * (call.ended - call.started) for call in calls],
            s=4,
            color=color,
            label=f"{name} ({len(calls):,})",
            linewidths=0,
        )
    above.set_yscale("log")
    above.set_ylabel("milliseconds of a search")
    above.legend(loc="upper right", markerscale=3)
    above.set_title(
        f"{len(outcome.run.injector.kills)} kills, {len(outcome.violations)} violations"
        f" (seed {outcome.run.settings.seed})"
    )
    targets = sorted({outage.target for outage in outcome.run.outages.known}, reverse=True)
    for outage in outcome.run.outages.known:
        is_kill = outage.fault.startswith(Kind.KILL.value)
        began = outage.began - outcome.run.began
        width = (outage.ended or outcome.ended) - outage.began
        below.barh(
            targets.index(outage.target),
            max(width, 0.2),
            left=began,
            color="#c53030" if is_kill else "#805ad5",
        )
        if is_kill:
            above.axvline(began, color="#c53030", alpha=0.12, linewidth=0.8)
    below.set_yticks(range(len(targets)), targets)
    below.set_xlabel("seconds; red: killed, violet: stopped or disturbed")
    figure.savefig(file, dpi=110)
    plt.close(figure)
