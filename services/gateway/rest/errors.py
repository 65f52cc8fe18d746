"""Errors as HTTP answers: the status that google.rpc.code documents, a body as in AIP-193."""

import json
from collections.abc import Mapping
from typing import Any

import grpc.aio
from google.protobuf import any_pb2, json_format
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common.rpc_status import ERROR_DOMAIN, status_of

_HTTP_STATUS: dict[int, int] = {
    code_pb2.OK: 200,
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}

# Reason and message of a status without details. The channel makes such ones itself,
# with addresses in their text, and so does a server that an exception escaped from.
_WITHOUT_DETAILS: dict[int, tuple[str, str]] = {
    code_pb2.CANCELLED: ("CANCELLED", "the call was cancelled"),
    code_pb2.UNKNOWN: ("INTERNAL", "internal error"),
    code_pb2.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "no answer in time"),
    code_pb2.RESOURCE_EXHAUSTED: ("OVERLOADED", "too large, or too much at once"),
    code_pb2.UNIMPLEMENTED: ("UNIMPLEMENTED", "the gateway does not have this method"),
    code_pb2.INTERNAL: ("INTERNAL", "internal error"),
    code_pb2.UNAVAILABLE: ("UPSTREAM_UNAVAILABLE", "the gateway cannot be reached"),
    code_pb2.DATA_LOSS: ("INTERNAL", "internal error"),
}


class HttpError(Exception):
    """A request that HTTP has a status of its own for, for example 405.

    `code` is the google.rpc.Code that the body shows beside it.
    """

    def __init__(
        self,
        http_status: int,
        code: int,
        reason: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.status = _status(code, reason, message)
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The client closed its connection before the answer."""


def http_answer(error: Exception) -> tuple[int, bytes, dict[str, str]]:
    """Return HTTP status, JSON body and additional headers for an error."""
    if isinstance(error, HttpError):
        return error.http_status, _body(error.status, error.http_status), error.headers
    status = call_status(error) if isinstance(error, grpc.aio.AioRpcError) else status_of(error)
    http_status = http_status_of(status.code)
    return http_status, _body(status, http_status), {}


def error_line(error: Exception) -> bytes:
    """Return an error as the last line of a stream."""
    return http_answer(error)[1] + b"\n"


def http_status_of(code: int) -> int:
    """Return the HTTP status of a google.rpc.Code; 500 for a number that is none."""
    return _HTTP_STATUS.get(code, 500)


def call_status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the status of a failed call as the upstream gave it, details and all."""
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    except (ValueError, DecodeError):  # details that are none, or of another status
        status = None
    if status is not None and status.details:
        return status
    code, name = error.code().value[0], error.code().name
    reason, message = _WITHOUT_DETAILS.get(code, (name, error.details() or name))
    return _status(code, reason, message)


def _status(code: int, reason: str, message: str) -> status_pb2.Status:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN))
    return status_pb2.Status(code=code, message=message, details=[packed])


def _body(status: status_pb2.Status, http_status: int) -> bytes:
    is_known = status.code in code_pb2.Code.values()
    error = {
        "code": http_status,
        "status": code_pb2.Code.Name(status.code) if is_known else "UNKNOWN",
        "message": status.message,
        "details": [tree for tree in map(_detail, status.details) if tree is not None],
    }
    return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode()


def _detail(detail: any_pb2.Any) -> dict[str, Any] | None:
    """Return a detail as JSON; None for a type that is not known here."""
    try:
        return json_format.MessageToDict(detail)
    except (TypeError, DecodeError, json_format.Error):
        return None
