"""Having cached answers computed anew: a change of the catalog like others, so nobody misses it."""

from services.common import categories
from services.gateway.ports import Catalog
from services.gateway.validity import CategoryChange, ChangeLog

CALL_TIMEOUT_SECONDS = 5.0
# The feed takes milliseconds; what it brings is known here already.
FEED_SECONDS = 0.25


class Invalidation:
    """Takes a revision by which every gateway learns it."""

    def __init__(self, catalog: Catalog, changes: ChangeLog) -> None:
        self._catalog = catalog
        self._changes = changes

    async def invalidate(self, category: str) -> int:
        """Invalidate a category with all below it, or everything; return the revision.

        When it returns, this gateway uses no older answer any more, whether the feed
        runs or not. InvalidArgument (category).
        """
        path = categories.parsed(category)
        revision = await self._catalog.invalidate(path, CALL_TIMEOUT_SECONDS)
        self._changes.expect(revision)
        self._changes.anticipate(
            CategoryChange(
                revision,
                path or None,
                path or None,
                changes_everything=not path,
                is_invalidation=True,
            )
        )
        await self._changes.reached(revision, FEED_SECONDS)
        return revision
