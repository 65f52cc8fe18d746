"""CatalogService over gRPC, on a real file."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format, struct_pb2
from google.rpc import error_details_pb2

from services.common.errors import DeadlineExceeded
from services.common.rpc_status import calling
from tests.catalog_support import Stubs, field_of, message, reason_of, serving_catalog
from vitrina.catalog.v1 import catalog_pb2 as pb
from vitrina.catalog.v1 import retrieval_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    async with serving_catalog(tmp_path) as running:
        yield running


async def upsert(stubs: Stubs, product: pb.Product) -> pb.UpsertProductResponse:
    return await stubs.catalog.UpsertProduct(pb.UpsertProductRequest(product=product))


async def batch(stubs: Stubs, *products: pb.Product) -> pb.BatchUpsertProductsResponse:
    return await stubs.catalog.BatchUpsertProducts(pb.BatchUpsertProductsRequest(products=products))


async def test_a_product_comes_back_normalised_with_times_and_revision(stubs: Stubs) -> None:
    sent = message(
        "AUD/12 ñ",
        name="Auriculares",
        description="Con\nlíneas",
        category="Audio>Auriculares",
        brand="Sonavel",
        price="179.9",
        currency="EUR",
        stock=14,
        attributes={"color": "negro", "peso_kg": 0.26, "inalambrico": True},
        image_url="https://shop/1.jpg",
        revision=99,
        create_time="1999-01-01T00:00:00Z",
    )
    written = await upsert(stubs, sent)
    read = await stubs.catalog.GetProduct(pb.GetProductRequest(id="AUD/12 ñ"))
    assert read.product == written.product
    assert (written.revision, written.outcome) == (1, pb.UPSERT_OUTCOME_CREATED)
    assert (read.revision, read.product.revision) == (1, 1)
    assert read.product.category == "Audio > Auriculares"
    assert read.product.price == "179.90"
    assert read.product.active is True
    assert read.product.stock == 14
    assert read.product.attributes == sent.attributes
    assert read.product.create_time == read.product.update_time
    assert read.product.create_time.seconds > 1_600_000_000


async def test_what_was_absent_stays_absent(stubs: Stubs) -> None:
    written = (await upsert(stubs, message("a"))).product
    assert not written.HasField("stock")
    assert written.price == written.currency == written.category == ""
    hidden = (await upsert(stubs, message("a", active=False, stock=0))).product
    assert hidden.active is False
    assert hidden.HasField("stock")


async def test_a_repeated_upsert_changes_nothing(stubs: Stubs) -> None:
    sent = message("a", price="5", currency="EUR", attributes={"n": 1})
    first = await upsert(stubs, sent)
    await upsert(stubs, message("b"))
    again = await upsert(stubs, first.product)
    assert (again.outcome, again.revision) == (pb.UPSERT_OUTCOME_UNCHANGED, 1)
    assert again.product == first.product
    changed = await upsert(stubs, message("a", price="5", currency="EUR", attributes={"n": True}))
    assert (changed.outcome, changed.revision) == (pb.UPSERT_OUTCOME_UPDATED, 3)
    assert changed.product.create_time == first.product.create_time


async def test_a_product_that_is_not_there(stubs: Stubs) -> None:
    long_id = "ñ" * 512
    for call in (
        stubs.catalog.GetProduct(pb.GetProductRequest(id=long_id)),
        stubs.catalog.DeleteProduct(pb.DeleteProductRequest(id=long_id)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(refused.value) == "PRODUCT_NOT_FOUND"


async def test_a_deletion(stubs: Stubs) -> None:
    await upsert(stubs, message("a"))
    gone = await stubs.catalog.DeleteProduct(pb.DeleteProductRequest(id="a"))
    assert gone.revision == 2
    again = await stubs.catalog.DeleteProduct(pb.DeleteProductRequest(id="a", allow_missing=True))
    assert again.revision == 2


@pytest.mark.parametrize(
    ("method", "request_message", "field"),
    [
        ("GetProduct", pb.GetProductRequest(), "id"),
        ("GetProduct", pb.GetProductRequest(id="x" * 513), "id"),
        ("DeleteProduct", pb.DeleteProductRequest(id=" a"), "id"),
        ("DeleteProduct", pb.DeleteProductRequest(id="", allow_missing=True), "id"),
        ("UpsertProduct", pb.UpsertProductRequest(), "product.name"),
        ("UpsertProduct", pb.UpsertProductRequest(product=message("")), "product.id"),
        (
            "UpsertProduct",
            pb.UpsertProductRequest(product=message("a", attributes={"x": [1]})),
            "product.attributes.x",
        ),
        ("UpsertProduct", pb.UpsertProductRequest(product=message(price="1")), "product.currency"),
        ("BatchUpsertProducts", pb.BatchUpsertProductsRequest(), "products"),
        (
            "BatchUpsertProducts",
            pb.BatchUpsertProductsRequest(products=[message()] * 501),
            "products",
        ),
        ("ListProducts", pb.ListProductsRequest(page_size=-1), "page_size"),
        ("ListProducts", pb.ListProductsRequest(page_size=1_001), "page_size"),
        ("ListProducts", pb.ListProductsRequest(category="A >> B"), "category"),
        ("ListProducts", pb.ListProductsRequest(page_token="x"), "page_token"),
    ],
)
async def test_an_argument_beyond_its_limit_is_named(
    stubs: Stubs, method: str, request_message: Any, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(stubs.catalog, method)(request_message)
    assert refused.value.code() is INVALID
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert field_of(refused.value) == field


@pytest.mark.parametrize("value", [{"list_value": {}}, {"null_value": 0}, {"struct_value": {}}, {}])
async def test_an_attribute_of_another_kind_is_refused(stubs: Stubs, value: dict[str, Any]) -> None:
    product = message("a")
    product.attributes["x"].CopyFrom(struct_pb2.Value(**value))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await upsert(stubs, product)
    assert field_of(refused.value) == "product.attributes.x"


async def test_a_batch_leaves_out_what_is_not_valid(stubs: Stubs) -> None:
    await upsert(stubs, message("same"))
    written = await batch(
        stubs,
        message("a"),
        message("b", price="1,5"),
        message("a", name="Otra"),
        message("same"),
        message("x" * 600),
        message("b"),
        message("c"),
    )
    assert [result.outcome for result in written.results] == [
        pb.UPSERT_OUTCOME_CREATED,
        pb.UPSERT_OUTCOME_UNSPECIFIED,
        pb.UPSERT_OUTCOME_UNSPECIFIED,
        pb.UPSERT_OUTCOME_UNCHANGED,
        pb.UPSERT_OUTCOME_UNSPECIFIED,
        pb.UPSERT_OUTCOME_UNSPECIFIED,
        pb.UPSERT_OUTCOME_CREATED,
    ]
    assert [result.revision for result in written.results] == [2, 0, 0, 1, 0, 0, 3]
    assert written.revision == 3
    assert written.results[4].id == "x" * 512

    def reason_and_field(result: pb.BatchUpsertResult) -> tuple[str, str]:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in result.error.details:
            detail.Unpack(info) or detail.Unpack(request)
        return info.reason, request.field_violations[0].field

    assert result_codes(written) == [
        0,
        INVALID.value[0],
        INVALID.value[0],
        0,
        *[INVALID.value[0]] * 2,
        0,
    ]
    assert reason_and_field(written.results[1]) == ("INVALID_FIELD", "products[1].price")
    assert reason_and_field(written.results[2]) == ("DUPLICATE_ID", "products[2].id")
    assert reason_and_field(written.results[4]) == ("INVALID_FIELD", "products[4].id")
    assert reason_and_field(written.results[5]) == ("DUPLICATE_ID", "products[5].id")
    read = await stubs.catalog.GetProduct(pb.GetProductRequest(id="a"))
    assert read.product.name == message("a").name


def result_codes(written: pb.BatchUpsertProductsResponse) -> list[int]:
    return [result.error.code for result in written.results]


async def test_a_batch_of_nothing_valid_says_the_newest_revision(stubs: Stubs) -> None:
    await upsert(stubs, message("a"))
    written = await batch(stubs, message(""), message("b", stock=-1))
    assert written.revision == 1
    assert all(result_codes(written))


async def test_pages_go_through_everything_once(stubs: Stubs) -> None:
    await batch(stubs, *(message(f"p{i:03}", category="A" if i % 2 else "B") for i in range(105)))
    first = await stubs.catalog.ListProducts(pb.ListProductsRequest())
    assert len(first.products) == 100
    rest = await stubs.catalog.ListProducts(
        pb.ListProductsRequest(page_token=first.next_page_token, page_size=1_000)
    )
    ids = [product.id for product in (*first.products, *rest.products)]
    assert ids == [f"p{i:03}" for i in range(105)]
    assert rest.next_page_token == ""
    assert first.revision == 105

    ids = []
    request = pb.ListProductsRequest(category=" A ", page_size=20)
    while True:
        page = await stubs.catalog.ListProducts(request)
        ids += [product.id for product in page.products]
        request.page_token = page.next_page_token
        # The last page is not followed by an empty one.
        assert page.products
        if not page.next_page_token:
            break
    assert ids == [f"p{i:03}" for i in range(1, 105, 2)]


async def test_a_token_is_for_its_own_listing(stubs: Stubs) -> None:
    await batch(stubs, *(message(f"p{i}", category="A") for i in range(3)))
    page = await stubs.catalog.ListProducts(pb.ListProductsRequest(page_size=1, category="A"))
    payloads = ["[2,'A','p0']", "[1,'A',0]", "[1,'A','']", "{}", "null", "[1,'A','a',1]"]
    texts = [payload.replace("'", '"').encode() for payload in payloads]
    forged = [
        page.next_page_token[:-1],
        page.next_page_token + "A",
        "é",
        *(base64.urlsafe_b64encode(data).decode() for data in (*texts, b"[" * 50_000, b"\xff\xfe")),
    ]
    for token in forged:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stubs.catalog.ListProducts(pb.ListProductsRequest(page_token=token, category="A"))
        assert field_of(refused.value) == "page_token"
    for category in ("", "B"):
        request = pb.ListProductsRequest(page_token=page.next_page_token, category=category)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stubs.catalog.ListProducts(request)
        assert field_of(refused.value) == "page_token"


async def test_categories_with_their_ancestors_in_order(stubs: Stubs) -> None:
    paths = ["Audio > Hi-Fi > Tuners", "Audio > Hi-Fi", "Audio & Video", "", "Zoo > Z", "Audio > A"]
    await batch(stubs, *(message(f"p{i}", category=path) for i, path in enumerate(paths)))
    await batch(stubs, message("q", category="Audio > Hi-Fi", active=False))
    listed = await stubs.catalog.ListCategories(pb.ListCategoriesRequest())
    assert [(c.path, c.product_count, c.subtree_product_count) for c in listed.categories] == [
        ("", 1, 1),
        ("Audio", 0, 4),
        ("Audio > A", 1, 1),
        ("Audio > Hi-Fi", 2, 3),
        ("Audio > Hi-Fi > Tuners", 1, 1),
        ("Audio & Video", 1, 1),
        ("Zoo", 0, 1),
        ("Zoo > Z", 1, 1),
    ]
    assert listed.revision == 7


async def test_the_default_currency_is_taken(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path, default_currency="EUR") as stubs:
        assert (await upsert(stubs, message(price="1"))).product.currency == "EUR"
        assert (await upsert(stubs, message("b"))).product.currency == ""


async def test_the_largest_page_fits_in_a_message(stubs: Stubs) -> None:
    attributes = {f"n{i}": "x" * 10_000 for i in range(150)}
    for number in range(12):
        await upsert(stubs, message(f"p{number:02}", attributes=attributes))
    ids = []
    request = pb.ListProductsRequest()
    while True:
        page = await stubs.catalog.ListProducts(request)
        ids += [product.id for product in page.products]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert ids == [f"p{number:02}" for number in range(12)]


async def test_an_error_about_a_hostile_name_fits_in_its_trailers(stubs: Stubs) -> None:
    for name in ("😀" * 200, "x" * 100_000, "\x1b[31m", "\r\nx: y"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await upsert(stubs, message("a", attributes={name: None}))
        assert refused.value.code() is INVALID
        assert field_of(refused.value).startswith("product.attributes")


async def test_the_whole_product_survives_json(stubs: Stubs) -> None:
    written = await upsert(stubs, message("a", attributes={"n": 1e21, "t": "ñ"}, stock=2**53 + 1))
    as_json = json_format.MessageToDict(written.product)
    assert json_format.ParseDict(as_json, pb.Product()) == written.product
    assert as_json["stock"] == str(2**53 + 1)


async def test_a_read_waits_for_its_revision(stubs: Stubs) -> None:
    await upsert(stubs, message("a", stock=1))
    request = pb.GetProductRequest(id="a", min_revision=2)
    reading = asyncio.ensure_future(stubs.catalog.GetProduct(request, timeout=20))
    at_once = await stubs.catalog.GetProduct(pb.GetProductRequest(id="a", min_revision=1))
    assert at_once.product.stock == 1
    assert not reading.done()
    await upsert(stubs, message("a", stock=2))
    read = await reading
    assert (read.product.stock, read.revision) == (2, 2)


async def test_a_read_of_a_revision_that_does_not_come_ends_in_time(stubs: Stubs) -> None:
    await upsert(stubs, message("a"))
    # Past its deadline the caller would not learn the revision.
    with pytest.raises(DeadlineExceeded) as late, calling("catalog"):
        await stubs.catalog.GetProduct(pb.GetProductRequest(id="a", min_revision=9), timeout=0.5)
    assert (late.value.reason, late.value.metadata) == ("REVISION_NOT_REACHED", {"revision": "1"})


async def test_a_read_does_not_wait_for_a_revision_below_zero(stubs: Stubs) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.catalog.GetProduct(pb.GetProductRequest(id="a", min_revision=-1))
    assert (refused.value.code(), field_of(refused.value)) == (INVALID, "min_revision")


async def test_who_waits_to_read_does_not_hold_up_a_drain(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path, grace_seconds=5) as stubs:
        request = pb.GetProductRequest(id="a", min_revision=1)
        reading = asyncio.ensure_future(stubs.catalog.GetProduct(request, timeout=20))
        await stubs.retrieval.GetCatalogStatus(retrieval_pb2.GetCatalogStatusRequest())
        started = time.monotonic()
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await reading
    assert time.monotonic() - started < 3
