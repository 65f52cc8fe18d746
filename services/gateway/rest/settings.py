"""What the process of rest reads from its environment."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from services.common.settings import Address, ServiceSettings

_ORIGIN = re.compile(r"https?://[^\s/?#,*]+")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value != "*" and not _ORIGIN.fullmatch(value):
            raise ValueError('must be "*" or origins such as https://shop.example, with commas')
    return values


class RestSettings(ServiceSettings):
    """Settings of rest."""

    listen: Address = Field("127.0.0.1:8080", alias="VITRINA_HTTP_LISTEN")
    gateway_address: str = Field("127.0.0.1:50050", alias="VITRINA_GATEWAY_ADDRESS", min_length=1)
    # Calls take turns over them, so that gateways that share a port all get some.
    gateway_connections: int = Field(1, alias="VITRINA_GATEWAY_CONNECTIONS", ge=1, le=256)
    # The deadline of a call for which the client asks for none, and the longest it may ask for.
    timeout_seconds: float = Field(15.0, alias="VITRINA_HTTP_TIMEOUT_SECONDS", gt=0, le=3600)
    # Not above what gRPC takes in one message, 16 MiB.
    max_body_bytes: int = Field(
        16 * 1024 * 1024, alias="VITRINA_HTTP_MAX_BODY_BYTES", ge=1024, le=16 * 1024 * 1024
    )
    # Pages of these origins may call from a browser; none by default.
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origins)
    ] = Field((), alias="VITRINA_CORS_ORIGINS")
