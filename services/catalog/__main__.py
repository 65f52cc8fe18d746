"""The catalog: `python -m services.catalog`."""

import sys
from functools import partial

from services.catalog.catalog import Catalog
from services.catalog.feed import ChangeFeed
from services.catalog.servicer import CatalogServicer, RetrievalServicer
from services.catalog.settings import CatalogSettings
from services.catalog.stores.sqlite import SqliteStore
from services.catalog.stores.sqlite_tuning import SqliteTuning
from services.catalog.suggesting.servicer import SuggestionServicer
from services.catalog.suggesting.suggestions import Suggestions
from services.catalog.text import Rules
from services.catalog.tuning import Tuning
from services.catalog.tuning.servicer import TuningServicer
from services.common.folder_lock import FolderLock
from services.common.server import Service, run
from services.common.settings import load
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
    suggestion_pb2,
    suggestion_pb2_grpc,
    tuning_pb2,
    tuning_pb2_grpc,
)


def compose(settings: CatalogSettings) -> Service:
    """Wire the catalog."""
    feed = ChangeFeed()
    text_rules = Rules(settings.language)
    store = SqliteStore(
        settings.database_path,
        text_weights=settings.text_weights,
        readers=settings.readers,
        on_commit=feed.announce,
        text_rules=text_rules,
    )
    tuning_store = SqliteTuning(store.database, on_commit=feed.announce, text_rules=text_rules)
    catalog = Catalog(
        store,
        feed,
        tuning_store.in_force,
        default_currency=settings.default_currency,
        text_rules=text_rules,
    )
    suggestions = Suggestions(store, feed, text_rules)
    return Service(
        name="catalog",
        listen=settings.listen,
        service_names=[
            catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name,
            retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"].full_name,
            suggestion_pb2.DESCRIPTOR.services_by_name["SuggestionService"].full_name,
            tuning_pb2.DESCRIPTOR.services_by_name["TuningService"].full_name,
        ],
        registrations=[
            partial(
                catalog_pb2_grpc.add_CatalogServiceServicer_to_server, CatalogServicer(catalog)
            ),
            partial(
                retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server,
                RetrievalServicer(catalog, suggestions),
            ),
            partial(
                suggestion_pb2_grpc.add_SuggestionServiceServicer_to_server,
                SuggestionServicer(suggestions),
            ),
            partial(
                tuning_pb2_grpc.add_TuningServiceServicer_to_server,
                TuningServicer(Tuning(tuning_store, feed)),
            ),
        ],
        adapters=[
            FolderLock(
                settings.database_path.parent,
                setting="DATABASE_URL" if settings.database_url else "VITRINA_DATA_DIR",
            ),
            store,
            tuning_store,
        ],
        grace_seconds=settings.grace_seconds,
        on_drain=[feed.drain],
    )


if __name__ == "__main__":
    # Writes fold words in a thread: searches wait no longer than this for the interpreter.
    sys.setswitchinterval(0.0005)
    settings = load(CatalogSettings)
    run(lambda: compose(settings), settings, "catalog")
