"""One call about rules or synonyms."""

from typing import Any

from google.protobuf.message import Message

from services.cli.connection import Target, gateway_at, run


def ask(rpc: str, request: Message, target: Target) -> Any:
    """Return the response of a method of TuningService, or raise Failure."""

    async def call() -> Any:
        async with gateway_at(target) as gateway:
            return await gateway.call(getattr(gateway.tuning, rpc), request)

    return run(call())
