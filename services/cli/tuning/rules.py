"""`vitrina rules`: put, list and remove what is done to the results of some queries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.cli.confirming import confirm
from services.cli.connection import ask
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import cell, console, inert, moment, plain_table, print_json
from services.cli.tuning.log import LOG_EPILOG, show_log
from services.cli.tuning.rule_input import QueryMatch, rule_of_file, rule_of_options
from services.cli.tuning.summaries import listed, rule_parts
from services.cli.wrong_text import with_text_shown
from vitrina.catalog.v1 import tuning_pb2

EPILOG = """Examples

  vitrina rules put summer --query piscina --query playa --match contains --pin AUD-0012=1

  vitrina rules list

  vitrina rules log"""

PUT_EPILOG = """Examples

  vitrina rules put summer --query piscina --query playa --match contains \
--pin AUD-0012=1 --bury AUD-0031

  vitrina rules put own-brand --boost 'brand = "Acme"=1.5' --author ana --description "Ours first"

  vitrina rules list --json | jq '.rules[0]' > rule.json

  vitrina rules put summer --file rule.json"""

LIST_EPILOG = """Examples

  vitrina rules list

  vitrina rules list --json | jq -r '.rules[].id'"""

DELETE_EPILOG = """Examples

  vitrina rules delete summer

  vitrina rules delete summer --yes --author ana

Without a terminal nobody can be asked, so --yes is needed there."""

RuleId = Annotated[
    str, typer.Argument(metavar="ID", help='The name of the rule: letters, digits, "-", "_", ".".')
]

app = typer.Typer(
    help="What is done to the results of some queries: products pinned, buried, boosted.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("put", epilog=PUT_EPILOG)
def put(
    context: typer.Context,
    rule_id: RuleId,
    *,
    queries: Annotated[
        list[str] | None,
        typer.Option("--query", "-q", metavar="WORDS", help="It is for these; else for all."),
    ] = None,
    match: Annotated[
        QueryMatch,
        typer.Option(
            "--match",
            case_sensitive=False,
            help="Whether a query has to be these very words, or to contain them.",
        ),
    ] = QueryMatch.EXACT,
    pins: Annotated[
        list[str] | None,
        typer.Option("--pin", metavar="ID=POSITION", help="A product, and its place among all."),
    ] = None,
    buried: Annotated[
        list[str] | None,
        typer.Option("--bury", metavar="ID", help="A product that comes after all others."),
    ] = None,
    boosts: Annotated[
        list[str] | None,
        typer.Option(
            "--boost",
            metavar="FILTER=FACTOR",
            help="What the scores of products that pass a filter are multiplied by.",
        ),
    ] = None,
    is_inactive: Annotated[
        bool, typer.Option("--inactive", help="Keep it, and do not apply it.")
    ] = False,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="For people.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE.json",
            help="The whole rule as JSON, in place of options; - is stdin.",
        ),
    ] = None,
    author: options.Author = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Create a rule, or replace it as a whole."""
    has_options = queries or pins or buried or boosts or is_inactive or description
    if file is not None and (has_options or match is not QueryMatch.EXACT):
        raise Failure(
            "--file holds the whole rule, so no options of it go beside", exit_code=WRONG_USE
        )
    target = options.target_of(context, address, timeout)
    if file is not None:
        rule = rule_of_file(rule_id, file)
    else:
        rule = rule_of_options(
            rule_id,
            queries=queries or (),
            match=match,
            pins=pins or (),
            buried=buried or (),
            boosts=boosts or (),
            is_inactive=is_inactive,
            description=description,
        )
    request = tuning_pb2.PutRuleRequest(rule=rule, author=author)
    try:
        response: tuning_pb2.PutRuleResponse = ask(
            target, lambda gateway: gateway.tuning.PutRule, request
        )
    except Failure as failure:
        filters = {f"rule.boosts[{i}].filter": boost.filter for i, boost in enumerate(rule.boosts)}
        raise with_text_shown(failure, filters) from None
    if as_json:
        print_json(response)
        return
    console().print(f"stored {inert(rule_id)} (revision {response.revision})")
    _show([response.rule])


@app.command("list", epilog=LIST_EPILOG)
def list_rules(
    context: typer.Context,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """List all rules."""
    target = options.target_of(context, address, timeout)
    response: tuning_pb2.ListRulesResponse = ask(
        target, lambda gateway: gateway.tuning.ListRules, tuning_pb2.ListRulesRequest()
    )
    if as_json:
        print_json(response)
    elif response.rules:
        _show(response.rules)
    else:
        console().print("There are no rules.")


@app.command("delete", epilog=DELETE_EPILOG)
def delete(
    context: typer.Context,
    rule_id: RuleId,
    is_confirmed: options.Confirmed = False,
    author: options.Author = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Remove one rule."""
    target = options.target_of(context, address, timeout)
    confirm(is_confirmed, lambda: f"Remove the rule {inert(rule_id)!r}?")
    request = tuning_pb2.DeleteRuleRequest(id=rule_id, author=author)
    response: tuning_pb2.DeleteRuleResponse = ask(
        target, lambda gateway: gateway.tuning.DeleteRule, request
    )
    if as_json:
        print_json(response)
    else:
        console().print(f"removed {inert(rule_id)} (revision {response.revision})")


app.command("log", epilog=LOG_EPILOG)(show_log)


def _show(rules: Sequence[tuning_pb2.Rule]) -> None:
    table = plain_table()
    table.add_column("id", overflow="fold", style="bold")
    table.add_column("what", no_wrap=True, style="dim")
    table.add_column("", overflow="fold")
    for rule in rules:
        name = rule.id
        for part, texts in rule_parts(rule).items():
            table.add_row(cell(name), cell(part), cell(listed(texts)))
            name = ""
        table.add_row("", "changed", cell(f"{moment(rule.update_time)}, revision {rule.revision}"))
    console().print(table)
