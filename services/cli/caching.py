"""`vitrina cache`: what answers come from, and having them computed anew."""

from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import ask
from services.cli.output import cell, console, inert, mebibytes, plain_table, print_json
from services.cli.status import redis_state, status_of
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina cache

  vitrina cache --json | jq .memoryHits

  vitrina cache clear

  vitrina cache clear --category "Audio > Headphones"

Answers never need clearing when products, rules or synonyms change: they follow the
catalog by themselves. It is for what no change tells of, such as other weights of its
fields. After restoring a backup empty Redis instead, or give it another prefix."""

CLEAR_EPILOG = """Examples

  vitrina cache clear

  vitrina cache clear --category "Audio > Headphones"

It concerns every gateway, and Redis. Answers are computed anew when they are asked for."""

app = typer.Typer(
    help="What is cached, how often it is found, and having it computed anew.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@app.callback()
def show(
    context: typer.Context,
    *,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Show what is cached and how often it is found, or clear it."""
    target = options.target_of(context, address, timeout)
    if context.invoked_subcommand is not None:
        # Options may stand before the subcommand too.
        context.obj = {"address": target.address, "timeout": target.timeout_seconds}
        return
    cache = status_of(target).cache
    if as_json:
        print_json(cache)
    else:
        _show(cache)


@app.command("clear", epilog=CLEAR_EPILOG)
def clear(
    context: typer.Context,
    *,
    category: Annotated[
        str,
        typer.Option(
            "--category", "-c", help='Only answers with this one or those below it: "Audio".'
        ),
    ] = "",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Have cached answers computed anew, in every gateway and in Redis."""
    target = options.target_of(context, address, timeout)
    request = search_pb2.InvalidateCacheRequest(category=category)
    response: search_pb2.InvalidateCacheResponse
    response = ask(target, lambda gateway: gateway.search.InvalidateCache, request)
    if as_json:
        print_json(response)
        return
    which = f"answers with {inert(category)}" if category else "all answers"
    console().print(f"{which} before revision {response.revision} are computed anew")


def _show(cache: search_pb2.CacheStatus) -> None:
    asked = cache.memory_hits + cache.redis_hits + cache.shared_hits + cache.misses
    memory = f"{mebibytes(cache.memory_bytes)} of {mebibytes(cache.memory_limit_bytes)} MiB"
    table = plain_table("Cache of this gateway, since it began")
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row(cell("entries in memory"), cell(f"{cache.memory_entries:,}"), cell(memory))
    for name, count in (
        ("found in memory", cache.memory_hits),
        ("found in Redis", cache.redis_hits),
        ("shared while computed", cache.shared_hits),
        ("computed", cache.misses),
    ):
        share = f"{100 * count / asked:.1f} %" if asked else ""
        table.add_row(cell(name), cell(f"{count:,}"), cell(share))
    table.add_row(cell("found and not valid"), cell(f"{cache.invalid_entries:,}"), "")
    table.add_row(cell("invalidations"), cell(f"{cache.invalidations:,}"), "")
    table.add_row(cell("refreshed beside"), cell(f"{cache.refreshed_answers:,}"), "")
    out = console()
    out.print(table)
    out.print(redis_state(cache))
