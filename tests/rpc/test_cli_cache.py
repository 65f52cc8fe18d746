"""`vitrina cache` against a gateway, as people and programs run it."""

from collections.abc import AsyncIterator

import pytest

from tests.cli_gateway import FakeGateway, gateway_serving
from tests.cli_process import vitrina


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def address(fake: FakeGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


async def test_the_cache_is_shown_with_what_each_tier_found(address: str) -> None:
    ended = await vitrina("cache", "--address", address)
    assert ended.code == 0, ended.err
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "found in memory 3 75.0 %" in lines
    assert "computed 1 25.0 %" in lines
    assert "invalidations 0" in lines
    assert "Redis down" in lines


async def test_the_cache_is_shown_to_programs(address: str) -> None:
    ended = await vitrina("cache", "--json", "--address", address)
    assert ended.json["memoryHits"] == "3"
    assert ended.json["redis"] == "REDIS_STATE_DOWN"


async def test_all_is_cleared_or_one_category(fake: FakeGateway, address: str) -> None:
    whole = await vitrina("cache", "clear", "--address", address)
    assert whole.out.strip() == "all answers before revision 1 are computed anew"
    part = await vitrina("cache", "--address", address, "clear", "--category", "Audio>Video")
    assert part.out.strip() == "answers with Audio>Video before revision 2 are computed anew"
    assert fake.invalidated == ["", "Audio > Video"]
    as_json = await vitrina("cache", "clear", "--json", "--address", address)
    assert as_json.json == {"revision": "3"}


async def test_a_wrong_category_is_refused_by_its_name(fake: FakeGateway, address: str) -> None:
    ended = await vitrina("cache", "clear", "--category", "Audio > > Video", "--address", address)
    assert ended.code == 1
    assert "category: a name is empty" in ended.err
    assert fake.invalidated == []
