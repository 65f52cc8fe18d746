"""What tests of the catalog share: products in each layer's form, and a catalog that serves."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.catalog.__main__ import compose
from services.catalog.products import Product, ProductDraft
from services.catalog.settings import CatalogSettings
from services.catalog.stores.sqlite import SqliteStore
from services.catalog.text import Rules
from services.common.channel import channel_to
from services.common.server import serving
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    retrieval_pb2_grpc,
    tuning_pb2_grpc,
)

_DRAFT = ProductDraft(
    id="p1",
    name="Lámpara de mesa",
    description="",
    category="",
    brand="",
    price="",
    currency="",
    stock=None,
    attributes={},
    image_url="",
    active=True,
)


def draft(product_id: str = "p1", **fields: Any) -> ProductDraft:
    """Return a small valid product as a caller may send it, with some fields set."""
    return replace(_DRAFT, id=product_id, **fields)


def product(product_id: str = "p1", **fields: Any) -> Product:
    """Return a small product, with some fields set."""
    return Product.parse(draft(product_id, **fields))


def message(product_id: str = "p1", **fields: Any) -> catalog_pb2.Product:
    """Return a small product as a message, with some fields set as JSON has them."""
    given = {"id": product_id, "name": "Lámpara de mesa", **fields}
    return json_format.ParseDict(given, catalog_pb2.Product())


def open_store(
    folder: Path,
    on_commit: Callable[[int], None] = lambda _: None,
    readers: int = 2,
    text_rules: Rules | None = None,
) -> SqliteStore:
    """Return the store of a folder; open it with `async with`."""
    return SqliteStore(
        folder / "catalog.db",
        text_weights=CatalogSettings().text_weights,
        readers=readers,
        on_commit=on_commit,
        text_rules=text_rules,
    )


@dataclass
class Stubs:
    """The services of a catalog that serves."""

    catalog: "catalog_pb2_grpc.CatalogServiceAsyncStub"
    retrieval: "retrieval_pb2_grpc.RetrievalServiceAsyncStub"
    tuning: "tuning_pb2_grpc.TuningServiceAsyncStub"


@asynccontextmanager
async def stubs_of(address: str) -> AsyncIterator[Stubs]:
    """Give the stubs of a catalog at host:port."""
    async with channel_to(address) as channel:
        yield Stubs(
            catalog_pb2_grpc.CatalogServiceStub(channel),
            retrieval_pb2_grpc.RetrievalServiceStub(channel),
            tuning_pb2_grpc.TuningServiceStub(channel),
        )


@asynccontextmanager
async def serving_catalog(folder: Path, **settings: Any) -> AsyncIterator[Stubs]:
    """Run a catalog on a free port, over a real file; give its stubs."""
    service = compose(CatalogSettings(data_dir=folder, listen="127.0.0.1:0", **settings))
    async with serving(service) as port, stubs_of(f"127.0.0.1:{port}") as stubs:
        yield stubs


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of a failed call."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


def field_of(error: grpc.aio.AioRpcError) -> str:
    """Return the field that a failed call names."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    request = error_details_pb2.BadRequest()
    assert status is not None
    assert any(detail.Unpack(request) for detail in status.details)
    return str(request.field_violations[0].field)
