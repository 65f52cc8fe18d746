"""`vitrina spaces`: the models, what is held of each, and which one answers."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from services.cli import options
from services.cli.confirming import confirm
from services.cli.connection import ask
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import cell, console, inert, mebibytes, plain_table, print_json
from services.cli.spaces_compare import COMPARE_EPILOG, compare
from services.cli.status import status_of
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina spaces

  vitrina spaces compare OLD NEW --queries queries.tsv && vitrina spaces use NEW

  vitrina spaces use --auto

A space is a model with all that shapes its vectors. The best that is ready answers: the one \
that is used by name, else the first of the embedder's order."""

USE_EPILOG = """Examples

  vitrina spaces use minilm-all-minilm-l6-v2-int8-384-9fa52d42

  vitrina spaces use --auto

Holds for all gateways, and over restarts."""

DROP_EPILOG = """Examples

  vitrina spaces drop minilm-all-minilm-l6-v2-int8-384-9fa52d42

Only a space that the embedder does not have any more, and that is not used by name."""

SpaceId = Annotated[str, typer.Argument(metavar="ID", help="As `vitrina spaces` shows it.")]

app = typer.Typer(
    help="The models, what is held of each, and which one answers.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode="rich",
)
app.command("compare", epilog=COMPARE_EPILOG)(compare)


@app.callback()
def show(
    context: typer.Context,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Show the spaces, the most preferred first."""
    if context.invoked_subcommand is not None:
        return
    response = status_of(options.target_of(context, address, timeout))
    if as_json:
        print_json(response)
    else:
        console().print(_table(response))


@app.command("use", epilog=USE_EPILOG)
def use(
    context: typer.Context,
    space: Annotated[str, typer.Argument(metavar="ID", help="The space to answer from.")] = "",
    *,
    is_auto: Annotated[
        bool, typer.Option("--auto", help="Let the embedder's order decide again.")
    ] = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Answer from this space from now on, in all gateways."""
    if bool(space) == is_auto:
        raise Failure("either the ID of a space or --auto", exit_code=WRONG_USE)
    target = options.target_of(context, address, timeout)
    request = search_pb2.UseSpaceRequest(space=space)
    ask(target, lambda gateway: gateway.search.UseSpace, request)
    console().print(f"{inert(space)} answers" if space else "the embedder's order decides")


@app.command("drop", epilog=DROP_EPILOG)
def drop(
    context: typer.Context,
    space: SpaceId,
    is_confirmed: options.Confirmed = False,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Remove the vectors of a space that the embedder does not have any more."""
    target = options.target_of(context, address, timeout)
    confirm(is_confirmed, lambda: f"Remove all vectors of {inert(space)!r}?")
    request = search_pb2.DropSpaceRequest(space=space)
    response: search_pb2.DropSpaceResponse
    response = ask(target, lambda gateway: gateway.search.DropSpace, request)
    if as_json:
        print_json(response)
    else:
        console().print(f"removed {inert(space)}, {mebibytes(response.freed_bytes)} MiB freed")


def _table(response: search_pb2.GetStatusResponse) -> Table:
    table = plain_table()
    table.add_column("space", overflow="fold")
    table.add_column("model")
    table.add_column("state", overflow="fold")
    for title in ("behind", "vectors", "memory", "texts", "tokens", "time"):
        table.add_column(title, justify="right")
    spaces = {space.id: space for space in response.spaces}
    collections = {each.space: each for each in response.collections}
    for name in [*spaces, *(name for name in collections if name not in spaces)]:
        space, held = spaces.get(name), collections.get(name)
        model = cell("not in the embedder", "yellow")
        if space is not None:
            model = cell(space.model if space.is_working else f"{space.model} (fails)")
        if held is None:
            table.add_row(cell(name), model, cell("no collection", "dim"))
            continue
        table.add_row(
            cell(name),
            model,
            _state(held),
            cell(f"{held.lag:,}", "yellow" if held.lag else "green"),
            cell(f"{held.vectors:,}"),
            cell(f"{mebibytes(held.memory_bytes)} MiB"),
            *(_left(held) if held.is_followed else ()),
        )
    return table


def _state(held: search_pb2.CollectionStatus) -> Text:
    text = cell("ready", "green")
    if not held.is_ready:
        text = cell(f"building, {_percent(held)} %", "yellow")
    if held.is_pinned:
        text.append_text(cell(", used by name", "bold"))
    if held.stalled_by and held.is_followed:
        text.append_text(cell(f", waits for {held.stalled_by}", "yellow"))
    return text


def _percent(held: search_pb2.CollectionStatus) -> int:
    whole = held.vectors + held.pending_documents
    return 100 * held.vectors // whole if whole else 0


def _left(held: search_pb2.CollectionStatus) -> tuple[Text, Text, Text]:
    """Return what is left to embed: texts at most, tokens by estimate, time at this pace."""
    if not held.pending_documents:
        return cell(""), cell(""), cell("")
    time = ""
    if held.pending_seconds >= 0:
        minutes, seconds = divmod(round(held.pending_seconds), 60)
        time = f"{minutes:,} min" if minutes else f"{seconds} s"
    return cell(f"{held.pending_documents:,}"), cell(f"{held.pending_tokens:,}"), cell(time)
