"""The embedder with Gemini: the real SDK and the real service against a fake of the API."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from services.common.errors import Unavailable
from services.common.rpc_status import calling
from tests.embedder_support import (
    MINILM_FOLDER,
    another_model,
    embedder_stub,
    settings_with,
    vectors_of,
)
from tests.fake_gemini import (
    Broken,
    FakeGemini,
    Hanging,
    Healthy,
    NotJson,
    Quota,
    Refusing,
    WrongCount,
    WrongDimensions,
    fake_gemini,
)
from vitrina.embedder.v1 import embedder_pb2 as pb

DIMENSIONS = 32
# As the API numbers task types.
DOCUMENT_TASK = 2


@dataclass
class Setup:
    stub: Any
    fake: FakeGemini

    async def embed(self, *texts: str, timeout: float = 30.0, **fields: Any) -> pb.EmbedResponse:
        request = pb.EmbedRequest(texts=texts, **({"purpose": pb.PURPOSE_QUERY} | fields))
        with calling("embedder"):
            response: pb.EmbedResponse = await self.stub.Embed(request, timeout=timeout)
        return response

    async def spaces(self) -> dict[str, pb.Space]:
        answer = await self.stub.ListSpaces(pb.ListSpacesRequest())
        return {space.provider: space for space in answer.spaces}


@asynccontextmanager
async def started(**values: Any) -> AsyncIterator[Setup]:
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(fake_gemini())
        defaults: dict[str, Any] = {
            "providers": ("gemini", "hashing"),
            "google_api_key": SecretStr(fake.api_key),
            "gemini_endpoint": fake.endpoint,
            "gemini_dimensions": DIMENSIONS,
        }
        settings = settings_with(**(defaults | values))
        yield Setup(await stack.enter_async_context(embedder_stub(settings)), fake)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    async with started() as setup:
        yield setup


def skipped(response: pb.EmbedResponse) -> list[tuple[str, str]]:
    return [(s.space.split("-")[0], pb.SkipReason.Name(s.reason)) for s in response.skipped]


async def test_with_a_key_gemini_comes_first(setup: Setup) -> None:
    spaces = await setup.spaces()
    assert list(spaces) == ["gemini", "hashing"]
    assert spaces["gemini"].id.startswith(f"gemini-gemini-embedding-001-{DIMENSIONS}-")
    assert (spaces["gemini"].dimensions, spaces["gemini"].max_tokens) == (DIMENSIONS, 2048)


async def test_256_documents_go_in_batches_of_the_api(setup: Setup) -> None:
    texts = [f"document {number}" for number in range(256)]
    response = await setup.embed(*texts, purpose=pb.PURPOSE_DOCUMENT)
    assert response.space.startswith("gemini-")
    vectors = vectors_of(response)
    assert vectors.shape == (256, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert sorted(len(request.texts) for request in setup.fake.requests) == [56, 100, 100]
    again = await setup.embed(texts[200], purpose=pb.PURPOSE_DOCUMENT)
    assert np.array_equal(vectors_of(again)[0], vectors[200])


async def test_a_quota_that_is_back_soon_costs_time_only(setup: Setup) -> None:
    setup.fake.script(Quota(retry_after_seconds=0.1), Healthy())
    response = await setup.embed("shoe")
    assert response.space.startswith("gemini-")
    assert not response.skipped
    assert len(setup.fake.requests) == 2


async def test_documents_without_quota_hold_up_no_query(setup: Setup) -> None:
    setup.fake.script(Quota(retry_after_seconds=40, task_type=DOCUMENT_TASK))
    with pytest.raises(Unavailable) as caught:
        await setup.embed("a", purpose=pb.PURPOSE_DOCUMENT, spaces=[await gemini_of(setup)])
    assert caught.value.metadata == {await gemini_of(setup): "QUOTA"}
    waiting = [
        asyncio.create_task(
            setup.embed(*["a"] * 256, purpose=pb.PURPOSE_DOCUMENT, spaces=[await gemini_of(setup)])
        )
        for _ in range(4)
    ]
    for number in range(5):
        started_at = time.monotonic()
        response = await setup.embed(f"shoe {number}")
        assert response.space.startswith("gemini-")
        assert time.monotonic() - started_at < 1
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    # spared: one request for documents, however many were wanted
    tasks = [task for request in setup.fake.requests for task in set(request.task_types)]
    assert tasks.count(DOCUMENT_TASK) == 1


async def gemini_of(setup: Setup) -> str:
    return (await setup.spaces())["gemini"].id


async def test_gemini_and_local_models_are_spaces_side_by_side(tmp_path: Path) -> None:
    folders = (another_model(tmp_path / "new-model"), MINILM_FOLDER)
    async with started(providers=("gemini", "minilm"), model_dirs=folders) as setup:
        answer = await setup.stub.ListSpaces(pb.ListSpacesRequest())
        assert [space.model for space in answer.spaces] == [
            "gemini-embedding-001",
            "new-model",
            MINILM_FOLDER.name,
        ]
        for space in answer.spaces:
            got = await setup.embed("shoe", purpose=pb.PURPOSE_DOCUMENT, spaces=[space.id])
            assert (got.space, got.dimensions) == (space.id, space.dimensions)


async def test_a_quota_that_is_gone_falls_back_and_is_not_asked_for_again(setup: Setup) -> None:
    setup.fake.script(Quota(retry_after_seconds=40))
    for _ in range(3):
        started_at = time.monotonic()
        response = await setup.embed("shoe")
        assert time.monotonic() - started_at < 1
        assert response.space.startswith("hashing-")
        assert skipped(response) == [("gemini", "SKIP_REASON_QUOTA")]
    assert len(setup.fake.requests) == 1
    assert (await setup.spaces())["gemini"].state == pb.SPACE_STATE_READY


@pytest.mark.parametrize(
    "behaviour",
    [Broken(500), Broken(503), Broken(404), WrongDimensions(), WrongCount(), NotJson()],
    ids=str,
)
async def test_a_failure_falls_back_to_the_next_space(behaviour: Any) -> None:
    async with started(gemini_max_attempts=2) as setup:
        setup.fake.script(behaviour)
        response = await setup.embed("shoe")
        assert response.space.startswith("hashing-")
        assert skipped(response) == [("gemini", "SKIP_REASON_FAILED")]


async def test_a_failure_that_passes_is_retried(setup: Setup) -> None:
    setup.fake.script(Broken(503), Broken(500), Healthy())
    response = await setup.embed("shoe")
    assert response.space.startswith("gemini-")
    assert len(setup.fake.requests) == 3


async def test_a_hang_falls_back_within_the_deadline(setup: Setup) -> None:
    setup.fake.script(Hanging())
    response = await setup.embed("shoe", timeout=0.6)
    assert response.space.startswith("hashing-")
    assert skipped(response) == [("gemini", "SKIP_REASON_TIMEOUT")]


async def test_a_hang_does_not_last_after_the_api_is_back() -> None:
    async with started(gemini_circuit_failures=100) as setup:
        setup.fake.script(Hanging())
        answers = await asyncio.gather(*(setup.embed(f"q{n}", timeout=2) for n in range(40)))
        assert {answer.space.split("-")[0] for answer in answers} == {"hashing"}
        setup.fake.script(Healthy())
        response = await setup.embed("shoe", timeout=5)
        assert response.space.startswith("gemini-")


async def test_an_open_circuit_falls_back_at_once_and_closes_again() -> None:
    limits = {"gemini_circuit_failures": 2, "gemini_circuit_pause_seconds": 0.3}
    async with started(gemini_max_attempts=1, **limits) as setup:
        setup.fake.script(Broken(500))
        responses = [await setup.embed("shoe") for _ in range(3)]
        assert skipped(responses[1]) == [("gemini", "SKIP_REASON_FAILED")]
        assert skipped(responses[2]) == [("gemini", "SKIP_REASON_CIRCUIT_OPEN")]
        assert (await setup.spaces())["gemini"].state == pb.SPACE_STATE_FAILING
        assert len(setup.fake.requests) == 2
        setup.fake.script(Healthy())
        async with asyncio.timeout(10):
            while (await setup.spaces())["gemini"].state != pb.SPACE_STATE_READY:
                pass
        assert (await setup.embed("shoe")).space.startswith("gemini-")


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_bad_key_fails_once_and_is_told_to_nobody(
    is_alone: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    key = "AIza-wrong-and-secret"
    providers = ("gemini",) if is_alone else ("gemini", "hashing")
    async with started(google_api_key=SecretStr(key), providers=providers) as setup:
        seen = [str(await setup.spaces())]
        for purpose in (pb.PURPOSE_QUERY, pb.PURPOSE_DOCUMENT, pb.PURPOSE_QUERY):
            if is_alone:
                with pytest.raises(Unavailable) as caught:
                    await setup.embed("shoe", purpose=purpose)
                assert caught.value.reason == "SPACES_UNAVAILABLE"
                seen.append(f"{caught.value!r} {caught.value.metadata}")
            else:
                response = await setup.embed("shoe", purpose=purpose)
                assert response.space.startswith("hashing-")
                seen.append(str(response.skipped))
        assert len(setup.fake.requests) == 1
        assert setup.fake.requests[0].api_key == key
        assert (await setup.spaces())["gemini"].state == pb.SPACE_STATE_FAILING
    logged = capfd.readouterr()
    assert "credential refused" in logged.out + logged.err
    assert key not in logged.out + logged.err + "".join(seen)


async def test_a_refused_text_is_the_failure_of_its_own_call(setup: Setup) -> None:
    setup.fake.script(Refusing("bad"))
    answers = await asyncio.gather(*(setup.embed(text) for text in ["bad", *"abcdefgh"]))
    assert [answer.space.split("-")[0] for answer in answers] == ["hashing"] + ["gemini"] * 8
    assert (await setup.spaces())["gemini"].state == pb.SPACE_STATE_READY


async def test_gemini_alone_names_the_cause(setup: Setup) -> None:
    gemini = (await setup.spaces())["gemini"].id
    setup.fake.script(Quota(retry_after_seconds=40))
    with pytest.raises(Unavailable) as caught:
        await setup.embed("shoe", spaces=[gemini])
    assert caught.value.metadata == {gemini: "QUOTA"}


async def test_hostile_texts_reach_the_api_whole(setup: Setup) -> None:
    texts = ["\x00", " ", "🎧\ud7ff", "\u202e[31m\x1b", "x" * 100_000]
    response = await setup.embed(*texts, purpose=pb.PURPOSE_DOCUMENT)
    assert response.space.startswith("gemini-")
    assert response.truncated_texts == 1
    assert list(setup.fake.requests[0].texts) == [texts[0], "-", *texts[2:]]
