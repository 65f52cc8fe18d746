"""Single flight."""

import asyncio

import pytest

from services.common import deadlines
from services.common.errors import Unavailable
from services.gateway.flights import Flights
from tests.support import until


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.begun


async def test_identical_work_is_done_once_and_shared() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    waiters = [asyncio.create_task(flights.join("key", work)) for _ in range(5)]
    await asyncio.sleep(0)
    work.may_end.set()
    results = await asyncio.gather(*waiters)
    assert [value for value, _ in results] == [1] * 5
    assert sorted(shared for _, shared in results) == [False, True, True, True, True]


async def test_work_that_ended_is_begun_anew() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    work.may_end.set()
    assert await flights.join("key", work) == (1, False)
    assert await flights.join("key", work) == (2, False)


async def test_a_waiter_that_leaves_does_not_disturb_the_others() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    leader = asyncio.create_task(flights.join("key", work))
    follower = asyncio.create_task(flights.join("key", work))
    await asyncio.sleep(0)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    work.may_end.set()
    assert await follower == (1, True)
    assert work.cancelled == 0


async def test_the_last_waiter_to_leave_ends_the_work_and_a_newcomer_begins_anew() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    only = asyncio.create_task(flights.join("key", work))
    await asyncio.sleep(0.01)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    newcomer = asyncio.create_task(flights.join("key", work))
    await asyncio.sleep(0.01)
    assert work.cancelled == 1
    work.may_end.set()
    assert await newcomer == (2, False)


async def test_a_failure_reaches_every_waiter() -> None:
    flights: Flights[int] = Flights()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError("no")

    outcomes = await asyncio.gather(
        *(flights.join("key", fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3


async def test_a_flight_that_was_left_does_not_take_its_successor_with_it() -> None:
    flights: Flights[int] = Flights()
    left, work = Work(), Work()
    leaving = asyncio.create_task(flights.join("key", left))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    first = asyncio.create_task(flights.join("key", work))
    await until(lambda: left.cancelled == 1)
    second = asyncio.create_task(flights.join("key", work))
    await asyncio.sleep(0)
    work.may_end.set()
    assert [await first, await second] == [(1, False), (1, True)]


async def test_work_that_was_begun_ends_without_anybody_who_waits_and_can_be_joined() -> None:
    flights: Flights[int] = Flights()
    work = Work()
    assert flights.begin("key", work)
    assert not flights.begin("key", work)
    joining = asyncio.create_task(flights.join("key", work))
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait([joining])
    work.may_end.set()
    assert await flights.join("key", work) == (1, True)
    assert work.cancelled == 0


async def test_work_that_was_begun_is_not_bound_by_the_deadline_of_the_call_at_work() -> None:
    flights: Flights[float] = Flights()
    left_seconds: list[float] = []

    async def work() -> float:
        left_seconds.append(deadlines.remaining_seconds(default=60.0))
        return left_seconds[0]

    deadlines.start(0.001)
    flights.begin("key", work)
    await until(lambda: bool(left_seconds))
    assert left_seconds == [60.0]


async def test_an_error_of_work_that_nobody_waits_for_disturbs_nobody() -> None:
    flights: Flights[int] = Flights()

    async def work() -> int:
        raise Unavailable("not now")

    flights.begin("key", work)
    await until(lambda: flights.begin("key", work))
    with pytest.raises(Unavailable):
        await flights.join("key", work)
