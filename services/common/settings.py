"""Settings from the environment, validated once at start."""

import sys
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_MAX_CALLS_IN_FLIGHT = 256

# The exit code of a process that another start does not help: a setting, or what it finds
# in its data folder, has to be put right first.
CANNOT_START = 2


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port, for example 127.0.0.1:50050")
    return address


S = TypeVar("S", bound="ServiceSettings")

Address = Annotated[str, AfterValidator(_host_and_port)]


class ServiceSettings(BaseSettings):
    """What every process reads. A field's alias is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, env_ignore_empty=True)

    environment: str = Field("development", alias="ENVIRONMENT", max_length=50)
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="VITRINA_LOG_LEVEL"
    )
    data_dir: Path = Field(Path("vitrina-data"), alias="VITRINA_DATA_DIR")
    grace_seconds: float = Field(10.0, alias="VITRINA_GRACE_SECONDS", ge=0, le=600)
    # Beyond it calls are refused at once; long streams and waits are counted apart.
    max_calls_in_flight: int = Field(
        DEFAULT_MAX_CALLS_IN_FLIGHT, alias="VITRINA_MAX_CALLS_IN_FLIGHT", ge=1, le=100_000
    )
    # Set by `vitrina up`: Ctrl-C reaches the whole process group, and `up` alone
    # decides in which order to drain; an end of stdin means that `up` is gone.
    is_supervised: bool = Field(False, alias="VITRINA_SUPERVISED")


def load(kind: type[S]) -> S:
    """Read the settings, or end the process with a line per wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            variable = ".".join(str(part) for part in problem["loc"])
            print(f"{variable}: {problem['msg']}", file=sys.stderr)
        sys.exit(CANNOT_START)
