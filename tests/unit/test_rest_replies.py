import json
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common.errors import InvalidArgument, NotFound
from services.gateway.rest.__main__ import SERVICES
from services.gateway.rest.bindings import Routes, bindings_of
from services.gateway.rest.errors import error_line, http_answer, http_status_of
from services.gateway.rest.replies import json_reply
from tests.rest_schema import EXAMPLES, Everything
from vitrina.catalog.v1 import catalog_pb2

EXAMPLE = Routes(bindings_of([EXAMPLES]))
SHOP = Routes(bindings_of(SERVICES))


def failed_call(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    rich = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        rich.code,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(*rich.trailing_metadata),
        details=rich.details,
    )


def packed(*details: Any) -> list[any_pb2.Any]:
    packs = [any_pb2.Any() for _ in details]
    for pack, detail in zip(packs, details, strict=True):
        pack.Pack(detail)
    return packs


@pytest.mark.parametrize(
    ("code", "http_status"),
    [
        ("OK", 200),
        ("CANCELLED", 499),
        ("UNKNOWN", 500),
        ("INVALID_ARGUMENT", 400),
        ("DEADLINE_EXCEEDED", 504),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403),
        ("RESOURCE_EXHAUSTED", 429),
        ("FAILED_PRECONDITION", 400),
        ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501),
        ("INTERNAL", 500),
        ("UNAVAILABLE", 503),
        ("DATA_LOSS", 500),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_every_code_has_the_status_that_google_documents(code: str, http_status: int) -> None:
    assert http_status_of(code_pb2.Code.Value(code)) == http_status


def test_a_number_that_is_no_code_is_an_internal_error() -> None:
    assert http_status_of(99) == 500


def test_details_of_the_upstream_are_handed_on_and_unknown_ones_left_out() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="PRODUCT_NOT_FOUND", domain="vitrina", metadata={"id": "ñ"}
    )
    unknown = any_pb2.Any(type_url="type.example/none.Such", value=b"x")
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    status = status_pb2.Status(
        code=code_pb2.NOT_FOUND, message="no product ñ", details=[*packed(info), unknown, broken]
    )
    http_status, body, headers = http_answer(failed_call(status))
    assert (http_status, headers) == (404, {})
    assert json.loads(body) == {
        "error": {
            "code": 404,
            "status": "NOT_FOUND",
            "message": "no product ñ",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "PRODUCT_NOT_FOUND",
                    "domain": "vitrina",
                    "metadata": {"id": "ñ"},
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("code", "http_status", "reason", "message"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "UPSTREAM_UNAVAILABLE", "the gateway cannot be reached"),
        (grpc.StatusCode.UNKNOWN, 500, "INTERNAL", "internal error"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED", "no answer in time"),
        (grpc.StatusCode.NOT_FOUND, 404, "NOT_FOUND", "ipv4:10.0.0.1"),
    ],
)
def test_text_that_the_channel_makes_does_not_leave(
    code: grpc.StatusCode, http_status: int, reason: str, message: str
) -> None:
    error = grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="ipv4:10.0.0.1"
    )
    answered, body, _ = http_answer(error)
    tree = json.loads(body)["error"]
    assert (answered, tree["message"], tree["details"][0]["reason"]) == (
        http_status,
        message,
        reason,
    )


def test_details_that_are_not_a_status_are_ignored() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff")),
        details="no such thing",
    )
    assert json.loads(http_answer(error)[1])["error"]["message"] == "no such thing"


def test_errors_of_ours_name_the_field() -> None:
    http_status, body, _ = http_answer(InvalidArgument("page_size", "must be an integer"))
    error = json.loads(body)["error"]
    assert http_status == 400
    assert error["details"][1]["fieldViolations"] == [
        {"field": "page_size", "description": "must be an integer", "reason": "INVALID_FIELD"}
    ]


def test_the_text_of_an_exception_does_not_leave() -> None:
    http_status, body, _ = http_answer(RuntimeError("secret"))
    assert http_status == 500
    assert b"secret" not in body
    assert json.loads(body)["error"]["message"] == "internal error"


def test_an_error_is_one_line_of_a_stream() -> None:
    line = error_line(NotFound("two\nlines"))
    assert line.count(b"\n") == 1
    assert json.loads(line)["error"]["code"] == 404


def test_lists_and_plain_fields_are_always_there() -> None:
    binding, _ = SHOP.find("GET", b"/v1/products")
    reply = json_reply(binding, catalog_pb2.ListProductsResponse())
    assert json.loads(reply) == {"products": [], "nextPageToken": "", "revision": "0"}


def test_what_is_not_tracked_is_absent() -> None:
    binding, _ = SHOP.find("GET", b"/v1/products/a")
    product = catalog_pb2.Product(id="ñ", price="9.90")
    tree = json.loads(json_reply(binding, catalog_pb2.GetProductResponse(product=product)))
    assert tree["product"]["price"] == "9.90"
    assert "stock" not in tree["product"]
    product.stock = 0
    reply = json_reply(binding, catalog_pb2.GetProductResponse(product=product))
    assert json.loads(reply)["product"]["stock"] == "0"
    assert "ñ".encode() in reply


def test_the_errors_of_a_batch_come_with_their_details() -> None:
    binding, _ = SHOP.find("POST", b"/v1/products:batchUpsert")
    info = error_details_pb2.ErrorInfo(reason="DUPLICATE_ID", domain="vitrina")
    error = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, details=packed(info))
    results = [catalog_pb2.BatchUpsertResult(id="a", error=error)]
    reply = json_reply(binding, catalog_pb2.BatchUpsertProductsResponse(results=results))
    details = json.loads(reply)["results"][0]["error"]["details"]
    assert details[0]["reason"] == "DUPLICATE_ID"


@pytest.mark.parametrize(
    ("path", "tree", "reply"),
    [
        ("/v1/files/a", {"name": "x"}, b'{"name":"x","sizeMm":0}'),
        ("/v1/files/a", None, b"null"),
        ("/v1/files/a:size", None, b'["one"]'),
    ],
)
def test_a_response_body_is_one_field_of_the_response(
    path: str, tree: dict[str, str] | None, reply: bytes
) -> None:
    binding, _ = EXAMPLE.find("GET", path.encode())
    message = Everything(words=["one"], part=tree)
    assert json_reply(binding, message) == reply
