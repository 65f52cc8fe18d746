"""`vitrina synonyms`: put, list and remove words that stand for one another."""

from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli import options
from services.cli.confirming import confirm
from services.cli.connection import ask
from services.cli.output import cell, console, inert, moment, plain_table, print_json
from services.cli.tuning.summaries import synonyms_text
from vitrina.catalog.v1 import tuning_pb2

EPILOG = """Examples

  vitrina synonyms put tv tv tele televisor

  vitrina synonyms list"""

PUT_EPILOG = """Examples

  vitrina synonyms put tv tv tele televisor

  vitrina synonyms put laptop laptop "ordenador portátil" --author ana

  vitrina synonyms put portable laptop notebook --one-way-from portátil

The first word is the id; each phrase that follows is found by every other."""

LIST_EPILOG = """Examples

  vitrina synonyms list

  vitrina synonyms list --json | jq -c '.synonyms[]'"""

DELETE_EPILOG = """Examples

  vitrina synonyms delete tv

  vitrina synonyms delete tv --yes --author ana

Without a terminal nobody can be asked, so --yes is needed there."""

SynonymsId = Annotated[
    str, typer.Argument(metavar="ID", help='Their name: letters, digits, "-", "_", ".".')
]

app = typer.Typer(
    help="Words that stand for one another in searches.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("put", epilog=PUT_EPILOG)
def put(
    context: typer.Context,
    synonyms_id: SynonymsId,
    phrases: Annotated[list[str], typer.Argument(metavar="PHRASES", help="Words or phrases.")],
    *,
    one_way_from: Annotated[
        str,
        typer.Option(
            "--one-way-from",
            metavar="PHRASE",
            help="This finds the phrases too, and not the other way round.",
        ),
    ] = "",
    author: options.Author = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Create synonyms, or replace them as a whole."""
    target = options.target_of(context, address, timeout)
    synonyms = tuning_pb2.Synonyms(id=synonyms_id, phrases=phrases, one_way_from=one_way_from)
    request = tuning_pb2.PutSynonymsRequest(synonyms=synonyms, author=author)
    response: tuning_pb2.PutSynonymsResponse = ask(
        target, lambda gateway: gateway.tuning.PutSynonyms, request
    )
    if as_json:
        print_json(response)
        return
    console().print(f"stored {inert(synonyms_id)} (revision {response.revision})")
    _show([response.synonyms])


@app.command("list", epilog=LIST_EPILOG)
def list_synonyms(
    context: typer.Context,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """List all synonyms."""
    target = options.target_of(context, address, timeout)
    request = tuning_pb2.ListSynonymsRequest()
    response: tuning_pb2.ListSynonymsResponse = ask(
        target, lambda gateway: gateway.tuning.ListSynonyms, request
    )
    if as_json:
        print_json(response)
    elif response.synonyms:
        _show(response.synonyms)
    else:
        console().print("There are no synonyms.")


@app.command("delete", epilog=DELETE_EPILOG)
def delete(
    context: typer.Context,
    synonyms_id: SynonymsId,
    is_confirmed: options.Confirmed = False,
    author: options.Author = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Remove synonyms."""
    target = options.target_of(context, address, timeout)
    confirm(is_confirmed, lambda: f"Remove the synonyms {inert(synonyms_id)!r}?")
    request = tuning_pb2.DeleteSynonymsRequest(id=synonyms_id, author=author)
    response: tuning_pb2.DeleteSynonymsResponse = ask(
        target, lambda gateway: gateway.tuning.DeleteSynonyms, request
    )
    if as_json:
        print_json(response)
    else:
        console().print(f"removed {inert(synonyms_id)} (revision {response.revision})")


def _show(all_synonyms: Sequence[tuning_pb2.Synonyms]) -> None:
    table = plain_table()
    table.add_column("id", overflow="fold", style="bold")
    table.add_column("phrases", overflow="fold")
    table.add_column("changed", no_wrap=True, style="dim")
    for synonyms in all_synonyms:
        table.add_row(
            cell(synonyms.id), cell(synonyms_text(synonyms)), cell(moment(synonyms.update_time))
        )
    console().print(table)
