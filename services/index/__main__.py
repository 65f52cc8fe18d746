"""The index process."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from services.common.channel import open_channel
from services.common.folder_lock import FolderLock
from services.common.server import Service, run
from services.common.settings import load
from services.index.collection import Collection
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graph_files import GraphFiles
from services.index.model import Space
from services.index.policy import GraphPolicy
from services.index.queries import Queries
from services.index.servicer import IndexServicer
from services.index.settings import IndexSettings
from services.index.spaces import Collections
from services.index.stores.sqlite import SqliteStateStore, stored_space
from services.index.threads import Threads
from services.index.upstreams.catalog import CatalogFeed
from services.index.upstreams.embedder import EmbedderClient
from vitrina.index.v1 import index_pb2, index_pb2_grpc

_STATE_FILE = "state.sqlite"


def compose(settings: IndexSettings) -> Service:
    """Wire the index."""
    parameters = GraphParameters(
        links=settings.graph_links, ef_construction=settings.graph_ef_construction
    )
    policy = GraphPolicy(
        parameters=parameters,
        ef_search=settings.graph_ef_search,
        min_rows=settings.graph_min_rows,
    )
    engine = FaissEngine()
    threads = Threads(engine, settings.search_threads)
    catalog_channel = open_channel(settings.catalog_address)
    embedder_channel = open_channel(settings.embedder_address)

    def make_collection(folder: Path, space: Space) -> Collection:
        store = SqliteStateStore(folder / _STATE_FILE, space)
        files = GraphFiles(folder, engine, parameters)
        return Collection(space, store, files, engine, threads, policy)

    collections = Collections(
        settings.collections_dir,
        make_collection,
        lambda folder: asyncio.to_thread(stored_space, folder / _STATE_FILE),
        CatalogFeed(catalog_channel),
        EmbedderClient(embedder_channel),
        settings.spaces_interval_seconds,
    )
    servicer = IndexServicer(Queries(collections), collections)
    adapters: list[AbstractAsyncContextManager[Any]] = [
        FolderLock(settings.collections_dir, setting="VITRINA_DATA_DIR"),
        catalog_channel,
        embedder_channel,
        threads,
        collections,
    ]
    return Service(
        name="index",
        listen=settings.listen,
        service_names=[index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name],
        registrations=[
            lambda server: index_pb2_grpc.add_IndexServiceServicer_to_server(servicer, server)
        ],
        adapters=adapters,
        grace_seconds=settings.grace_seconds,
        on_drain=[collections.drain],
    )


if __name__ == "__main__":
    index_settings = load(IndexSettings)
    run(lambda: compose(index_settings), index_settings, "index")
