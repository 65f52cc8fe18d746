"""Vitrina through its gateway; it embeds the query itself."""

import time
from importlib.metadata import version
from typing import Self

import grpc

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.systems.base import System, Vectors
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

_START_SECONDS = 60.0
_MODES: dict[Way, pb.Mode.ValueType] = {
    Way.VECTOR: pb.MODE_SEMANTIC,
    Way.HYBRID: pb.MODE_HYBRID,
    Way.LEXICAL: pb.MODE_LEXICAL,
    Way.CACHED: pb.MODE_HYBRID,
}


class Vitrina(System):
    """A stack that runs already; its place is the gateway's address."""

    wants_vector = False
    ways = (Way.VECTOR, Way.HYBRID, Way.LEXICAL, Way.CACHED)
    settings = (
        "`vitrina up` with its defaults, the gateway over gRPC; vector is MODE_SEMANTIC; "
        "all but cached with skip_cache"
    )

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._address = place

    @classmethod
    def version(cls) -> str:
        """Return the version of Vitrina."""
        return f"vitrina {version('vitrina')}"

    def __enter__(self) -> Self:
        self._channel = grpc.insecure_channel(self._address)
        self._stub = search_pb2_grpc.SearchServiceStub(self._channel)
        self._wait_until_whole()
        return self

    def _wait_until_whole(self) -> None:
        """Return when a search is answered with nothing left out: it serves before that."""
        give_up_at = time.monotonic() + _START_SECONDS
        while self._stub.Search(pb.SearchRequest(query="anything", skip_cache=True)).info.degraded:
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"no whole answer within {_START_SECONDS:g} s")
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        """Close the channel."""
        self._channel.close()

    def search(self, ask: Ask, _vector: Vectors, /) -> list[str]:
        """Search in the mode; RuntimeError where a stage was left out."""
        request = pb.SearchRequest(
            query=ask.query,
            page_size=ask.k,
            mode=_MODES[ask.way],
            filter="" if ask.below_price is None else f"price < {ask.below_price}",
            skip_cache=ask.way is not Way.CACHED,
        )
        reply = self._stub.Search(request)
        if reply.info.degraded:
            raise RuntimeError(f"{ask.query}: degraded, {list(reply.info.left_out)}")
        return [result.product.id for result in reply.results]
