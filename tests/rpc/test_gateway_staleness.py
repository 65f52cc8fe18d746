"""Two gateways with warm caches over one catalog and one index: neither is ever stale."""

from pathlib import Path

from benchmarks.staleness import Gateway, Rounds
from tests.shop import running_shop

ROUNDS = 300


async def test_no_gateway_answers_older_than_asked_for_whoever_wrote(tmp_path: Path) -> None:
    async with running_shop(tmp_path, gateways=2) as shop:
        gateways = [Gateway(gateway.channel) for gateway in shop.gateways]
        await shop.gateways[0].put("kettle-0", "a kettle to begin with", wait_searchable=True)
        removal = await shop.gateways[1].remove("kettle-0", wait_searchable=True)
        assert removal == 2
        tally = await Rounds(gateways).play(ROUNDS)
    assert (tally.stale_answers, tally.failed) == (0, 0), tally.stale
    assert tally.answers == ROUNDS * 2 * 2
    # What would have been stale was there, in both caches, and what was asked for got there.
    assert tally.warm > ROUNDS * 2 * 0.9
    assert tally.from_cache > ROUNDS * 0.9
    assert tally.degraded == 0
