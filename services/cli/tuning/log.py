"""`vitrina rules log`: who changed which rule or synonyms, and how."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from services.cli import options
from services.cli.connection import ask
from services.cli.output import cell, console, moment, plain_table, print_json
from services.cli.paging import next_page_note
from services.cli.tuning.summaries import Parts, listed, rule_parts, synonyms_parts
from vitrina.catalog.v1 import tuning_pb2

LOG_EPILOG = """Examples

  vitrina rules log --limit 20

  vitrina rules log --json | jq -c '.changes[]'"""


def show_log(
    context: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="How many at most.")
    ] = 50,
    page_token: options.PageToken = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Show who changed rules and synonyms, and how; the newest first."""
    target = options.target_of(context, address, timeout)
    request = tuning_pb2.ListTuningChangesRequest(page_size=limit, page_token=page_token)
    response: tuning_pb2.ListTuningChangesResponse = ask(
        target, lambda gateway: gateway.tuning.ListTuningChanges, request
    )
    if as_json:
        print_json(response)
        return
    if response.changes:
        _show(response.changes)
    else:
        console().print("No changes.")
    if response.next_page_token:
        console().print(next_page_note(response.next_page_token), style="dim", soft_wrap=True)


def _show(changes: Sequence[tuning_pb2.TuningChange]) -> None:
    table = plain_table()
    table.add_column("revision", justify="right")
    table.add_column("time", no_wrap=True, style="dim")
    table.add_column("author", max_width=20, overflow="fold")
    table.add_column("what", overflow="fold", style="bold")
    table.add_column("before", ratio=1, overflow="fold")
    table.add_column("after", ratio=1, overflow="fold")
    for change in changes:
        what, before, after = _sides(change)
        table.add_row(
            cell(change.revision),
            cell(moment(change.time)),
            cell(change.author),
            cell(what),
            _what_differs(before, after),
            _what_differs(after, before),
        )
    console().print(table)


def _sides(change: tuning_pb2.TuningChange) -> tuple[str, Parts, Parts]:
    """Return what was changed, and its parts before and after; none where it was not there."""
    if change.HasField("rule_before") or change.HasField("rule_after"):
        name = change.rule_after.id or change.rule_before.id
        return f"rule {name}", rule_parts(change.rule_before), rule_parts(change.rule_after)
    name = change.synonyms_after.id or change.synonyms_before.id
    before, after = synonyms_parts(change.synonyms_before), synonyms_parts(change.synonyms_after)
    return f"synonyms {name}", before, after


def _what_differs(parts: Parts, others: Parts) -> Text:
    """Return a line for each part that the other side has not, or has otherwise."""
    return Text("\n").join(
        cell(f"{name} {listed(texts)}")
        for name, texts in parts.items()
        if texts != others.get(name)
    )
