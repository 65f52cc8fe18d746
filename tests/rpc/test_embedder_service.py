"""The embedder over a real connection, with the models that need no network."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.channel import channel_to
from services.common.errors import FailedPrecondition, InvalidArgument, VitrinaError
from services.common.rpc_status import calling
from services.common.server import serving
from services.embedder.__main__ import compose
from services.embedder.providers.base import ProviderUnusable
from tests.embedder_support import (
    MINILM_FOLDER,
    another_model,
    embedder_stub,
    hashed,
    settings_with,
    vectors_of,
)
from tests.support import free_port
from vitrina.embedder.v1 import embedder_pb2 as pb
from vitrina.embedder.v1 import embedder_pb2_grpc

SERVICE = "vitrina.embedder.v1.EmbedderService"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def stub() -> AsyncIterator["embedder_pb2_grpc.EmbedderServiceAsyncStub"]:
    async with embedder_stub(settings_with(providers=("minilm", "hashing"))) as stub:
        yield stub


async def embed(stub: Any, *texts: str, **fields: Any) -> pb.EmbedResponse:
    request = pb.EmbedRequest(texts=texts, **({"purpose": pb.PURPOSE_QUERY} | fields))
    with calling("embedder"):
        response: pb.EmbedResponse = await stub.Embed(request, timeout=30)
    return response


async def test_spaces_are_listed_with_all_that_the_index_needs(stub: Any) -> None:
    spaces = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces
    assert [space.provider for space in spaces] == ["minilm", "hashing"]
    assert [space.dimensions for space in spaces] == [384, 512]
    assert [space.max_tokens for space in spaces] == [256, 0]
    assert {space.state for space in spaces} == {pb.SPACE_STATE_READY}
    assert {space.document_template for space in spaces} == {
        "${name}. ${brand}. ${category}. ${description}"
    }
    assert all(space.id.startswith(f"{space.provider}-{space.model.lower()}-") for space in spaces)


async def test_texts_come_back_as_vectors_in_their_order(stub: Any) -> None:
    texts = [f"product {number}" for number in range(256)]
    hashing = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces[1]
    response = await embed(stub, *texts, spaces=[hashing.id], purpose=pb.PURPOSE_DOCUMENT)
    assert (response.space, response.dimensions) == (hashing.id, 512)
    assert np.array_equal(vectors_of(response), hashed(texts))


async def test_the_local_model_answers_by_itself_and_counts_what_it_cut(stub: Any) -> None:
    texts = ["wireless headphones", "word " * 1_000, "Kopfhörer"]
    response = await embed(stub, *texts, purpose=pb.PURPOSE_DOCUMENT)
    assert response.space.startswith("minilm-")
    assert response.truncated_texts == 1
    assert not response.skipped
    vectors = vectors_of(response)
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_a_vector_is_the_same_under_load(stub: Any) -> None:
    alone = await embed(stub, "wireless headphones")
    answers = await asyncio.gather(
        embed(stub, *(["some other document"] * 64), purpose=pb.PURPOSE_DOCUMENT),
        *(embed(stub, "wireless headphones") for _ in range(20)),
    )
    assert {answer.vectors for answer in answers[1:]} == {alone.vectors}


async def test_an_unknown_space_is_skipped_while_another_is_acceptable(stub: Any) -> None:
    hashing = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces[1]
    response = await embed(stub, "shoe", spaces=["gemini-gone-768-0", hashing.id])
    assert response.space == hashing.id
    assert [(each.space, each.reason) for each in response.skipped] == [
        ("gemini-gone-768-0", pb.SKIP_REASON_UNKNOWN_SPACE)
    ]


async def test_unknown_spaces_alone_are_a_failed_precondition(stub: Any) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await embed(stub, "shoe", spaces=["gemini-gone-768-0"])
    assert caught.value.reason == "SPACE_UNKNOWN"


@pytest.mark.parametrize(
    ("texts", "fields", "field"),
    [
        ([], {}, "texts"),
        (["x"] * 257, {}, "texts"),
        (["x", ""], {}, "texts[1]"),
        (["x" * 100_001], {}, "texts[0]"),
        (["x"], {"purpose": pb.PURPOSE_UNSPECIFIED}, "purpose"),
        (["x"], {"purpose": 77}, "purpose"),
        (["x"], {"spaces": ["s"] * 33}, "spaces"),
    ],
)
async def test_a_wrong_request_names_the_field(
    stub: Any, texts: list[str], fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await embed(stub, *texts, **fields)
    assert (caught.value.field, caught.value.reason) == (field, "INVALID_FIELD")


async def test_calls_that_are_cancelled_do_no_harm(stub: Any) -> None:
    calls = [
        stub.Embed(pb.EmbedRequest(texts=["word " * 300] * 100, purpose=pb.PURPOSE_DOCUMENT))
        for _ in range(10)
    ]
    await asyncio.sleep(0)
    await embed(stub, "first")
    for call in calls:
        call.cancel()
    await asyncio.wait_for(embed(stub, "next", purpose=pb.PURPOSE_DOCUMENT), 10)


async def test_a_deadline_ends_a_call_and_frees_its_place(stub: Any) -> None:
    minilm = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces[0].id
    request = pb.EmbedRequest(
        texts=["word " * 300] * 256, spaces=[minilm], purpose=pb.PURPOSE_DOCUMENT
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(request, timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(embed(stub, "next", purpose=pb.PURPOSE_DOCUMENT), 10)


async def test_too_much_at_once_is_an_overload() -> None:
    settings = settings_with(providers=("minilm",), max_waiting_texts=256, document_workers=1)
    async with embedder_stub(settings) as stub:
        answers = await asyncio.gather(
            *(embed(stub, *(["shoe"] * 200), purpose=pb.PURPOSE_DOCUMENT) for _ in range(6)),
            return_exceptions=True,
        )
    refused = [answer for answer in answers if isinstance(answer, VitrinaError)]
    assert {error.reason for error in refused} == {"OVERLOADED"}
    assert 0 < len(refused) < 6


async def test_without_a_usable_model_the_start_fails(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    settings = settings_with(providers=("gemini", "minilm"), model_dirs=(tmp_path,))
    with pytest.raises(ProviderUnusable, match="no provider could be opened: minilm"):
        async with serving(compose(settings)):
            pass


async def test_a_damaged_model_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    settings = settings_with(providers=("minilm", "hashing"), model_dirs=(tmp_path,))
    async with embedder_stub(settings) as stub:
        response = await embed(stub, "shoe")
    assert response.space.startswith("hashing-")


async def test_model_folders_are_spaces_side_by_side_in_their_order(tmp_path: Path) -> None:
    new = another_model(tmp_path / "new-model")
    settings = settings_with(providers=("minilm", "hashing"), model_dirs=(new, MINILM_FOLDER))
    async with embedder_stub(settings) as stub:
        spaces = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces
        vectors = [vectors_of(await embed(stub, "shoe", spaces=[space.id])) for space in spaces]
        favourite = await embed(stub, "shoe")
    assert [space.model for space in spaces] == ["new-model", MINILM_FOLDER.name, "words-ngrams"]
    assert favourite.space == spaces[0].id
    assert float(vectors[0][0] @ vectors[1][0]) < 0.99


async def test_a_model_that_is_broken_or_missing_leaves_the_others(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(another_model(tmp_path / "whole"), broken)
    (broken / "onnx/model.onnx").write_bytes(b"not a model")
    folders = (tmp_path / "missing", broken, MINILM_FOLDER)
    settings = settings_with(providers=("minilm",), model_dirs=folders)
    async with embedder_stub(settings) as stub:
        (space,) = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces
        assert (await embed(stub, "shoe")).space == space.id
    assert space.model == MINILM_FOLDER.name


async def test_two_folders_of_the_same_model_are_one_space(tmp_path: Path) -> None:
    twins = (another_model(tmp_path / "a" / "twin"), another_model(tmp_path / "b" / "twin"))
    async with embedder_stub(settings_with(providers=("minilm",), model_dirs=twins)) as stub:
        (space,) = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces
        assert (await embed(stub, "shoe")).space == space.id


async def test_another_template_is_another_space() -> None:
    ids = []
    for template in ("${name}", "${name}. ${brand}", "${name}"):
        settings = settings_with(providers=("hashing",), document_template=template)
        async with embedder_stub(settings) as stub:
            ids.append((await stub.ListSpaces(pb.ListSpacesRequest())).spaces[0].id)
    assert ids[0] == ids[2] != ids[1]


async def test_the_process_starts_anywhere_and_drains(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "VITRINA_EMBEDDER_LISTEN": f"127.0.0.1:{port}",
        # what an import of the SDK would pull in must not be there without a key
        "PYTHONPROFILEIMPORTTIME": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.embedder"),
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
    )
    finished = asyncio.ensure_future(process.communicate())
    try:
        async with channel_to(f"127.0.0.1:{port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            async with asyncio.timeout(20):
                while True:
                    answer = await health.Check(
                        health_pb2.HealthCheckRequest(service=SERVICE), wait_for_ready=True
                    )
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        break
            response = await embed(embedder_pb2_grpc.EmbedderServiceStub(channel), "shoe")
            assert response.space.startswith("minilm-")
        process.send_signal(signal.SIGTERM)
        logged = (await asyncio.wait_for(finished, 20))[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await finished
    assert process.returncode == 0
    assert "onnxruntime" in logged
    assert "generativeai" not in logged
    events = [json.loads(line)["event"] for line in logged.splitlines() if line.startswith("{")]
    assert events == ["space opened", "serving", "draining", "stopped"]
