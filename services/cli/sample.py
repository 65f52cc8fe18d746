"""The first minute: a sample catalog goes in, one search is shown, and how to go on."""

import json
import shlex
from pathlib import Path
from urllib.parse import quote

from services.cli import rejects
from services.cli.connection import Target
from services.cli.failures import Failure
from services.cli.import_run import Report, import_file
from services.cli.options import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_SECONDS
from services.cli.output import cell, console, count
from services.cli.paging import pages_of
from services.cli.searching import nothing_for
from services.cli.sources import Source, format_of
from services.cli.stack import Stack
from services.cli.tables import show_results
from vitrina.search.v1 import search_pb2

SAMPLE_QUERY = "a present for a kid who likes science"


async def import_sample(stack: Stack, path: Path) -> Report:
    """Import a catalog, and wait until searches find it."""
    report = await import_file(
        Source(path, format_of(path)),
        Target(stack.grpc, DEFAULT_TIMEOUT_SECONDS),
        rejects.RejectsFile(rejects.default_path(path)),
        wait=True,
        is_silent=True,
    )
    if report.failure is not None:
        raise Failure(f"the sample: {report.failure.message}", hint=report.failure.hint)
    return report


async def show_sample(stack: Stack, path: Path, query: str) -> None:
    """Import a catalog, search it once, and say how to go on."""
    report = await import_sample(stack, path)
    out = console()
    waited = report.seconds + (report.searchable_seconds or 0)
    products = count(report.tally.stored, "product")
    out.print(f"\n{path}: {products} stored and searchable in {waited:.1f} s\n")
    out.print(f'vitrina search "{query}"', style="bold")
    request = search_pb2.SearchRequest(query=query, page_size=5, min_revision=report.tally.revision)
    response = await pages_of(request, Target(stack.grpc, DEFAULT_TIMEOUT_SECONDS))
    show_results(response.results, response.info, nothing=nothing_for(""))
    out.print("\nTry it:", style="bold")
    for command in ways_to_ask(stack, query):
        out.print("  ", cell(command), sep="", soft_wrap=True)
    out.print()


def ways_to_ask(stack: Stack, query: str) -> list[str]:
    """Return the same search over HTTP, with this command, and with grpcurl."""
    address = "" if stack.grpc == DEFAULT_ADDRESS else f" --address {stack.grpc}"
    body = json.dumps({"query": query}, ensure_ascii=False)
    return [
        f"curl '{stack.http}/v1/products:search?query={quote(query)}'",
        f"vitrina search {shlex.quote(query)}{address}",
        f"grpcurl -plaintext -d {shlex.quote(body)} {stack.grpc} "
        "vitrina.search.v1.SearchService/Search",
    ]
