"""Building a collection with a model whose quota is tight: slow, and nothing paid for twice."""

from pathlib import Path

from pydantic import SecretStr

from services.common.server import serving
from services.embedder.__main__ import compose
from tests.embedder_support import settings_with
from tests.fake_gemini import Behaviour, Healthy, Quota, fake_gemini
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb

PRODUCTS = 600
# As often as the provider tries one call.
ATTEMPTS = 3


async def test_a_quota_that_runs_out_again_and_again_costs_no_text_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.catalog.put(*(product(f"p{n}") for n in range(PRODUCTS)))
    async with fake_gemini() as gemini, running(world, without=["embedder"]):
        script: list[Behaviour] = []
        for _ in range(2):
            script += [Healthy(), *[Quota()] * 2 * ATTEMPTS]
        gemini.script(*script, Healthy())
        settings = settings_with(
            listen=world.embedder.upstream.address,
            providers=("gemini",),
            google_api_key=SecretStr(gemini.api_key),
            gemini_endpoint=gemini.endpoint,
            gemini_dimensions=16,
        )
        async with serving(compose(settings)):

            async def is_ready() -> bool:
                states = [each.state for each in (await world.collections()).values()]
                return states == [pb.COLLECTION_STATE_READY]

            await until(is_ready, seconds=60, what="the collection is ready")
        paid = [
            text
            for place, request in enumerate(gemini.requests)
            if place >= len(script) or isinstance(script[place], Healthy)
            for text in request.texts
        ]
        assert len(gemini.requests) > len(script)
        assert sorted(paid) == sorted(f"Product p{n}" for n in range(PRODUCTS))
