"""`vitrina status`: every process, collection, space and cache tier."""

import typer
from rich.text import Text

from services.cli import options
from services.cli.connection import Target, ask
from services.cli.failures import FAILED
from services.cli.output import cell, console, count, mebibytes, plain_table, print_json
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina status

  vitrina status --json | jq .collections

Ends with 1 when a process does not serve."""

_PROCESS = {
    search_pb2.PROCESS_STATE_SERVING: ("serving", "green"),
    search_pb2.PROCESS_STATE_NOT_SERVING: ("not serving", "red"),
    search_pb2.PROCESS_STATE_UNREACHABLE: ("unreachable", "red"),
}
_REDIS = {
    search_pb2.REDIS_STATE_NOT_CONFIGURED: ("not configured", "dim"),
    search_pb2.REDIS_STATE_UP: ("up", "green"),
    search_pb2.REDIS_STATE_DOWN: ("down", "red"),
}


def status(
    context: typer.Context,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Show whether all is well, and how far the index is."""
    target = options.target_of(context, address, timeout)
    response = status_of(target)
    if as_json:
        print_json(response)
    else:
        show_status(response)
    if any(p.state != search_pb2.PROCESS_STATE_SERVING for p in response.processes):
        raise typer.Exit(FAILED)


def status_of(target: Target) -> search_pb2.GetStatusResponse:
    """Return the state of everything, or raise Failure."""
    response: search_pb2.GetStatusResponse = ask(
        target, lambda gateway: gateway.search.GetStatus, search_pb2.GetStatusRequest()
    )
    return response


def show_status(response: search_pb2.GetStatusResponse) -> None:
    """Print the state as tables."""
    out = console()
    processes = plain_table("Processes")
    processes.add_column("name")
    processes.add_column("state")
    processes.add_column("answers in", justify="right")
    for process in response.processes:
        latency = f"{process.latency_ms:.1f} ms" if process.latency_ms else ""
        state = _PROCESS.get(process.state, ("unknown", "red"))
        processes.add_row(cell(process.name), cell(*state), cell(latency))
    out.print(processes)

    catalog = response.catalog
    out.print()
    out.print("Catalog", style="bold")
    if response.HasField("catalog"):
        products = count(catalog.product_count, "product")
        out.print(f"{products}, revision {catalog.revision}")
    else:
        out.print("unknown", style="red")

    out.print()
    out.print(_spaces(response))
    out.print()
    _show_cache(response.cache)


def _spaces(response: search_pb2.GetStatusResponse) -> object:
    """One line a space, the most preferred first: its model and its collection."""
    table = plain_table("Spaces and their collections")
    table.add_column("space", overflow="fold")
    table.add_column("model")
    for title in ("revision", "behind", "vectors", "memory", "recall"):
        table.add_column(title, justify="right")
    table.add_column("state", overflow="fold")
    collections = {collection.space: collection for collection in response.collections}
    spaces = {space.id: space for space in response.spaces}
    for name in [*spaces, *(name for name in collections if name not in spaces)]:
        space, collection = spaces.get(name), collections.get(name)
        model = Text("unknown", "dim")
        if space is not None:
            model = cell(
                space.provider if space.is_working else f"{space.provider} (fails)",
                "" if space.is_working else "red",
            )
        if collection is None:
            table.add_row(cell(name), model, "", "", "", "", "", cell("no collection", "dim"))
            continue
        table.add_row(
            cell(name),
            model,
            cell(collection.applied_revision),
            cell(f"{collection.lag:,}", "yellow" if collection.lag else "green"),
            cell(f"{collection.vectors:,}"),
            cell(f"{mebibytes(collection.memory_bytes)} MiB"),
            cell(_recall(collection)),
            _collection_state(collection),
        )
    return table


def _recall(collection: search_pb2.CollectionStatus) -> str:
    """Return "0.998 @10"; empty where none was measured."""
    recall = collection.recall
    return f"{recall.recall:.3f} @{recall.k}" if collection.HasField("recall") else ""


def _collection_state(collection: search_pb2.CollectionStatus) -> Text:
    text = cell("ready", "green") if collection.is_ready else cell("building", "yellow")
    if collection.stalled_by:
        text.append_text(cell(f", waits for {collection.stalled_by}", "yellow"))
    return text


def _show_cache(cache: search_pb2.CacheStatus) -> None:
    out = console()
    out.print("Cache", style="bold")
    hits = cache.memory_hits + cache.redis_hits + cache.shared_hits
    asked = hits + cache.misses
    share = f"{100 * hits / asked:.0f} % of {asked:,} found" if asked else "not asked yet"
    memory = f"{mebibytes(cache.memory_bytes)} of {mebibytes(cache.memory_limit_bytes)} MiB"
    out.print(f"{count(cache.memory_entries, 'answer')} in memory ({memory}), {share}")
    out.print(redis_state(cache))


def redis_state(cache: search_pb2.CacheStatus) -> Text:
    """Return how Redis is, and whether the catalog is followed."""
    state, style = _REDIS.get(cache.redis, ("unknown", "red"))
    line = Text("Redis ").append(state, style)
    if not cache.is_following:
        line.append(", and the catalog is not followed: cached answers are labelled", "yellow")
    return line
