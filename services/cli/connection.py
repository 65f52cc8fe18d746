"""The gateway as the command sees it: its public services, and errors for people."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.cli.failures import NOT_FOUND, WRONG_USE, Failure
from services.common.channel import channel_to
from services.common.rpc_status import error_from_call
from vitrina.catalog.v1 import catalog_pb2_grpc, suggestion_pb2_grpc, tuning_pb2_grpc
from vitrina.search.v1 import search_pb2_grpc

T = TypeVar("T")

# The server answers within the time it was given; leave it some to say that it could not.
_MARGIN_SECONDS = 1.0
_NEVER_BY_RETRYING = frozenset(
    (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    )
)


@dataclass(frozen=True)
class Target:
    """Where the gateway is, and how long one answer may take."""

    address: str
    timeout_seconds: float

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit() or "/" in host.removeprefix("dns:///"):
            raise Failure(
                f"{self.address}: the address must be host:port, for example 127.0.0.1:50050",
                exit_code=WRONG_USE,
            )

    @property
    def timeout(self) -> Duration:
        """The same, as requests hold it."""
        duration = Duration()
        duration.FromNanoseconds(round(self.timeout_seconds * 1e9))
        return duration


class Gateway:
    """Calls to one gateway. Every failed call raises Failure."""

    def __init__(self, target: Target, channel: grpc.aio.Channel) -> None:
        self.target = target
        # grpc's own type stubs know the blocking kind of stub only.
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.suggestions: Any = suggestion_pb2_grpc.SuggestionServiceStub(channel)
        self.tuning: Any = tuning_pb2_grpc.TuningServiceStub(channel)
        self.search: Any = search_pb2_grpc.SearchServiceStub(channel)

    async def call(self, rpc: Callable[..., Awaitable[T]], request: Any) -> T:
        """Return the response, or raise Failure."""
        try:
            return await rpc(request, timeout=self.target.timeout_seconds + _MARGIN_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise failure_of(error, self.target.address) from None


@asynccontextmanager
async def gateway_at(target: Target) -> AsyncIterator[Gateway]:
    """Open the channel, and close it at the end. Nothing is sent yet."""
    async with channel_to(target.address) as channel:
        yield Gateway(target, channel)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end; Ctrl-C cancels it and raises KeyboardInterrupt."""
    with asyncio.Runner() as runner:
        return runner.run(work)


def ask(target: Target, rpc: Callable[[Gateway], Any], request: Message) -> Any:
    """Return the response to the one call that a command makes, or raise Failure.

    `rpc` picks the method: `lambda gateway: gateway.search.Search`.
    """

    async def call() -> Any:
        async with gateway_at(target) as gateway:
            return await gateway.call(rpc(gateway), request)

    return run(call())


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed a little later.

    A process that is killed ends its calls with various statuses. Only those
    that say what is wrong with the call, and defects, are final.
    """
    if not isinstance(error, grpc.aio.AioRpcError) or error.code() in _NEVER_BY_RETRYING:
        return False
    if error.code() is grpc.StatusCode.INTERNAL:
        return not _has_details(error)
    return True


def failure_of(error: grpc.aio.AioRpcError, address: str) -> Failure:
    """Return the error that a user sees for a failed call."""
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Failure(f"what answers at {address} is no Vitrina gateway, or another version of it")
    meaning = error_from_call(error, f"the gateway at {address}")
    if _has_details(error):
        exit_code = NOT_FOUND if code is grpc.StatusCode.NOT_FOUND else 1
        hint = "the log of the gateway tells more" if code is grpc.StatusCode.INTERNAL else ""
        return Failure(meaning.message, hint=hint, exit_code=exit_code)
    if code is grpc.StatusCode.UNAVAILABLE:
        return Failure(
            f"cannot reach a gateway at {address}",
            hint="start one with `vitrina up`, or name another with --address",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Failure(meaning.message, hint="--timeout gives it longer")
    return Failure(f"the gateway at {address} failed: {code.name}")


def _has_details(error: grpc.aio.AioRpcError) -> bool:
    return any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())
