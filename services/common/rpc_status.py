"""Domain errors to gRPC statuses with details (AIP-193), and back."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common import errors

ERROR_DOMAIN = "vitrina"

_CODES: dict[type[errors.VitrinaError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_ERRORS = {code: kind for kind, code in _CODES.items()}


def status_of(error: Exception) -> status_pb2.Status:
    """Return the status that a caller may see.

    Anything that is not an error of ours is INTERNAL, without its text.
    """
    if not isinstance(error, errors.VitrinaError):
        error = errors.VitrinaError("internal error")
    code = _CODES.get(type(error), grpc.StatusCode.INTERNAL)
    status = status_pb2.Status(code=code.value[0], message=error.message)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata
    )
    status.details.append(_packed(info))
    if isinstance(error, errors.InvalidArgument):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.problem, reason=error.reason
        )
        status.details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    return status


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def error_from_call(error: grpc.aio.AioRpcError, upstream: str) -> errors.VitrinaError:
    """Return the domain error that a failed call to `upstream` means for its caller.

    Reason and metadata of the upstream are kept. A status without a meaning of
    ours (UNKNOWN, INTERNAL, UNIMPLEMENTED, ...) is the upstream's failure, so Unavailable.
    """
    info = error_details_pb2.ErrorInfo()
    violations = error_details_pb2.BadRequest()
    status = _details_of(error)
    for detail in status.details if status else ():
        detail.Unpack(info) or detail.Unpack(violations)
    has_info = info.domain == ERROR_DOMAIN
    if violations.field_violations:
        first = violations.field_violations[0]
        return errors.InvalidArgument(first.field, first.description, reason=first.reason or None)
    kind = _ERRORS.get(error.code(), errors.Unavailable)
    if not has_info or kind is errors.InvalidArgument:
        is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        problem = "did not answer in time" if is_late else "cannot be reached"
        kind = kind if kind in (errors.DeadlineExceeded, errors.Overloaded) else errors.Unavailable
        return kind(f"{upstream} {problem}")
    return kind(error.details() or upstream, reason=info.reason, metadata=info.metadata)


def _details_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # status and details disagree: not one of ours
        return None


@contextmanager
def calling(upstream: str) -> Iterator[None]:
    """Turn failed calls to `upstream` inside the block into domain errors."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_from_call(error, upstream) from None
