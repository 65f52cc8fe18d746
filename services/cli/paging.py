"""Pages of one result: several at once, and how to get the next one."""

from services.cli.connection import Target, gateway_at
from services.cli.output import count, inert
from vitrina.catalog.v1 import facet_pb2
from vitrina.search.v1 import search_pb2

MAX_PAGES = 100


async def pages_of(
    request: search_pb2.SearchRequest, target: Target, pages: int = 1
) -> search_pb2.SearchResponse:
    """Return up to so many pages as one answer.

    Its facets and plan are those of the first page, its next_page_token that of
    the last one; the time is that of all of them.
    """
    async with gateway_at(target) as gateway:
        answer: search_pb2.SearchResponse = await gateway.call(gateway.search.Search, request)
        following = search_pb2.SearchRequest()
        following.CopyFrom(request)
        del following.facets[:]
        for _ in range(pages - 1):
            if not answer.next_page_token:
                break
            following.page_token = answer.next_page_token
            page: search_pb2.SearchResponse = await gateway.call(gateway.search.Search, following)
            answer.results.extend(page.results)
            answer.next_page_token = page.next_page_token
            answer.info.timings.total_ms += page.info.timings.total_ms
            known = answer.info.degraded
            known.extend([kind for kind in page.info.degraded if kind not in known])
    return answer


def found_note(response: search_pb2.SearchResponse) -> str:
    """Return "3 results" if that is all, or "10 of at least 400 results"."""
    shown = len(response.results)
    is_bound = response.total_size_kind == facet_pb2.COUNT_KIND_LOWER_BOUND
    if response.total_size <= shown and not is_bound:
        return count(shown, "result")
    return f"{shown:,} of {'at least ' * is_bound}{count(response.total_size, 'result')}"


def next_page_note(token: str) -> str:
    """Return how to get what comes next."""
    return f"next page: the same with --page-token {inert(token)}"
