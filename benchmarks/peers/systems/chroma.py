"""Chroma's server, through its HTTP client."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import chromadb  # type: ignore[import-not-found]
from chromadb.config import Settings  # type: ignore[import-not-found]

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.rows import Row
from benchmarks.peers.systems.base import System, Vectors

_COLLECTION = "products"
# What a shop filters by.
_METADATA = ("brand", "category", "price")
_START_SECONDS = 60.0


class Chroma(System):
    """A server of its own on a free port of 127.0.0.1."""

    ways = (Way.VECTOR,)
    settings = (
        "`chroma run` and HttpClient; HNSW with its defaults (M 16, ef_construction 100, "
        "ef_search 100), cosine; the document is the product as JSON, and only brand, category and "
        "price are metadata (a search costs more with each further field)"
    )

    @classmethod
    def version(cls) -> str:
        """Return the version of server and client."""
        return f"chromadb {version('chromadb')}"

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [str(Path(sys.executable).with_name("chroma")), "run"]
        self._server = subprocess.Popen(
            [*command, "--path", str(self._folder), "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL,  # a line for each request
        )
        self._client = self._connected(port)
        self._collection: Any = self._client.get_or_create_collection(
            _COLLECTION, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        return self

    def _connected(self, port: int) -> Any:
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                return chromadb.HttpClient(
                    host="127.0.0.1", port=port, settings=Settings(anonymized_telemetry=False)
                )
            except Exception as error:  # it has no class for "not yet there"
                if self._server.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError("chroma's server did not start") from error
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.terminate()
        self._server.wait(30)

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Add products in batches as large as the server takes them."""
        size = self._client.get_max_batch_size()
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            self._collection.add(
                ids=[row.id for row in batch],
                embeddings=vectors[start : start + size],
                documents=[json.dumps(row.fields()) for row in batch],
                metadatas=[{f: getattr(row, f) for f in _METADATA} for row in batch],
            )

    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        """Search by vector."""
        found = self._collection.query(
            query_embeddings=[vector],
            n_results=ask.k,
            where=None if ask.below_price is None else {"price": {"$lt": ask.below_price}},
            include=["documents", "metadatas"],
        )
        ids: list[str] = found["ids"][0]
        return ids
