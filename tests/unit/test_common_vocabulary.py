"""Errors, settings, traces, deadlines and categories: the shared vocabulary."""

import asyncio

import pytest
import structlog
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from services.common import categories, deadlines, telemetry
from services.common.errors import InvalidArgument, NotFound
from services.common.rpc_status import status_of
from services.common.settings import Address, ServiceSettings, load


class SampleSettings(ServiceSettings):
    """Settings with one of each kind."""

    listen: Address = Field("127.0.0.1:1", alias="SAMPLE_LISTEN")
    limit: int = Field(5, alias="SAMPLE_LIMIT", ge=1)
    key: SecretStr | None = Field(None, alias="SAMPLE_KEY", min_length=10)


def test_a_status_names_field_reason_and_domain() -> None:
    status = status_of(InvalidArgument("products[3].price", "must not be negative"))
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.code == 3
    assert status.message == "products[3].price: must not be negative"
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "vitrina")
    assert status.details[1].Unpack(violations)
    assert violations.field_violations[0].field == "products[3].price"


def test_the_text_of_an_unforeseen_error_stays_inside() -> None:
    status = status_of(ValueError("password=hunter2 in /etc/secret"))
    assert status.code == 13
    assert b"hunter2" not in status.SerializeToString()
    assert b"/etc" not in status.SerializeToString()


def test_metadata_goes_with_the_reason() -> None:
    info = error_details_pb2.ErrorInfo()
    status_of(NotFound("no", reason="X", metadata={"revision": "7"})).details[0].Unpack(info)
    assert dict(info.metadata) == {"revision": "7"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SAMPLE_LIMIT", "0"), ("SAMPLE_LIMIT", "many"), ("SAMPLE_LISTEN", "nowhere")],
)
def test_a_wrong_setting_ends_the_start_and_is_named(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load(SampleSettings)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"{variable}: ")


def test_a_wrong_secret_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMPLE_KEY", "hunter2")
    with pytest.raises(SystemExit):
        load(SampleSettings)
    printed = capsys.readouterr().err
    assert "SAMPLE_KEY" in printed
    assert "hunter2" not in printed


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_LIMIT", "")
    assert load(SampleSettings).limit == 5


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_trace_is_carried_on() -> None:
    with structlog.contextvars.bound_contextvars():
        telemetry.start_trace(f"00-{TRACE}-00f067aa0ba902b7-01")
        carried = telemetry.current_traceparent()
        assert carried is not None
        assert carried.split("-")[1] == TRACE


@pytest.mark.parametrize(
    "header",
    [None, "", "x", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01"],
)
def test_without_a_valid_trace_a_new_one_begins(header: str | None) -> None:
    with structlog.contextvars.bound_contextvars():
        telemetry.start_trace(header)
        carried = telemetry.current_traceparent()
        assert carried is not None
        assert carried.split("-")[1] != TRACE
        assert len(carried.split("-")[1]) == 32


async def test_a_deadline_reaches_the_tasks_of_its_call_and_no_others() -> None:
    async def call(seconds: float | None) -> float | None:
        deadlines.start(seconds)
        return await asyncio.create_task(asyncio.to_thread(deadlines.shortened, 10.0))

    short, unbounded = await asyncio.gather(
        asyncio.create_task(call(1.0)), asyncio.create_task(call(None))
    )
    assert short is not None
    assert 0.0 < short <= 1.0
    assert unbounded == 10.0
    assert deadlines.shortened(None) is None


names = st.text(st.characters(exclude_characters=">", categories=["L", "N", "P"]), min_size=1)


@given(st.lists(names, min_size=1, max_size=6), st.data())
def test_a_path_is_within_each_of_its_ancestors(path_names: list[str], data: st.DataObject) -> None:
    spaces = data.draw(st.sampled_from([">", " >", "> ", "  >  "]))
    path = categories.normalised(spaces.join(path_names))
    assert path == " > ".join(" ".join(name.split()) for name in path_names)
    ancestors = list(categories.self_and_ancestors(path))
    assert len(ancestors) == len(path_names)
    assert all(categories.is_within(path, ancestor) for ancestor in [*ancestors, ""])
    assert not categories.is_within(path, path + "x")
    assert not categories.is_within(path + "x", path)
