"""A feed that brings nothing: because there is no news, or because it cannot be heard."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.gateway import following
from services.gateway.following import CatalogFollower
from services.gateway.hydration import Hydration
from services.gateway.ports import CatalogState, Watched
from services.gateway.validity import CategoryChange, ChangeLog
from tests.gateway_ports import FakeCatalog
from tests.support import until


class QuietCatalog(FakeCatalog):
    """Its feed brings the head at which it is opened, and then only what `news` holds."""

    def __init__(self) -> None:
        super().__init__()
        self.news: asyncio.Queue[Watched] = asyncio.Queue()
        self.is_heard = asyncio.Event()
        self.is_heard.set()
        self.states_asked = 0

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        self.states_asked += 1
        return await super().get_state(timeout_seconds)

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        await self.is_heard.wait()
        missed = range(after_revision + 1, self.revision + 1)
        changes = [CategoryChange(revision, None, "Home") for revision in missed]
        yield Watched("catalog-1", self.revision, changes)
        while True:
            yield await self.news.get()


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> QuietCatalog:
    monkeypatch.setattr(following, "PULSE_SECONDS", 0.02)
    monkeypatch.setattr(following, "SILENCE_SECONDS", 0.1)
    return QuietCatalog()


async def test_no_news_are_good_news_while_the_catalog_answers(catalog: QuietCatalog) -> None:
    changes = ChangeLog()
    async with CatalogFollower(catalog, changes, Hydration(catalog, changes, 1 << 20)):
        await until(lambda: catalog.states_asked > 5)
        assert changes.is_current
        catalog.revision = 2
        await catalog.news.put(Watched("catalog-1", 2, [CategoryChange(2, None, "Home")]))
        asked = catalog.states_asked
        await until(lambda: catalog.states_asked > asked + 5)
        assert changes.is_current
        assert changes.head == 2


async def test_a_write_that_the_feed_does_not_bring_ends_the_trust_in_it(
    catalog: QuietCatalog,
) -> None:
    changes = ChangeLog()
    async with CatalogFollower(catalog, changes, Hydration(catalog, changes, 1 << 20)):
        await until(lambda: changes.is_current)
        catalog.revision = 2
        catalog.is_heard.clear()
        await until(lambda: not changes.is_current)
        catalog.is_heard.set()
        # The feed is opened anew, and brings what was missed.
        await until(lambda: changes.is_current)


async def test_a_catalog_that_does_not_answer_ends_the_trust_in_its_feed(
    catalog: QuietCatalog,
) -> None:
    changes = ChangeLog()
    async with CatalogFollower(catalog, changes, Hydration(catalog, changes, 1 << 20)):
        await until(lambda: changes.is_current)
        catalog.trouble.hangs = True
        catalog.is_heard.clear()
        await until(lambda: not changes.is_current)
        catalog.trouble.hangs = False
        catalog.is_heard.set()
        await until(lambda: changes.is_current)
