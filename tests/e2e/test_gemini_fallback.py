"""Gemini by the real SDK against a local server of its protocol, and what happens when it fails."""

import json
from pathlib import Path

import pytest

from tests.fake_gemini import Broken, Hanging, Healthy, Quota, fake_gemini
from tests.stack import SAMPLE, running_stack
from tests.support import until
from vitrina.search.v1 import search_pb2 as pb


async def test_when_gemini_fails_the_local_space_answers_and_says_so(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:40]))
    async with fake_gemini() as gemini:
        environment = {
            "GOOGLE_API_KEY": gemini.api_key,
            "VITRINA_GEMINI_ENDPOINT": gemini.endpoint,
            "VITRINA_GEMINI_CIRCUIT_PAUSE_SECONDS": "0.5",
            "VITRINA_GEMINI_ATTEMPT_TIMEOUT_SECONDS": "0.5",
        }
        async with running_stack(tmp_path / "data", environment) as stack:
            code, out, err = await stack.cli("import", str(few), "--wait", "--json")
            assert code == 0, out + err
            await stack.searchable(json.loads(out)["revision"], spaces=2)

            async def space_of(query: str) -> tuple[str, list[int]]:
                answer = await stack.search.Search(pb.SearchRequest(query=query), timeout=5)
                assert len(answer.results) == 10
                return answer.info.space.split("-")[0], list(answer.info.degraded)

            async def gemini_answers() -> bool:
                return await space_of("algo para la casa") == ("gemini", [])

            await until(gemini_answers, what="the preferred space answers")
            requests_for_documents = len(gemini.requests)
            assert requests_for_documents < 40, "documents are sent in batches"

            for trouble in (Broken(500), Broken(503), Quota(), Hanging(), Broken(400)):
                gemini.script(trouble)
                got = await space_of(f"algo nuevo {trouble}")
                assert got == ("minilm", [pb.DEGRADATION_FALLBACK_SPACE]), trouble

            gemini.script(Healthy())
            attempt = 0

            async def gemini_is_back() -> bool:
                nonlocal attempt
                attempt += 1
                return await space_of(f"otra vez {attempt}") == ("gemini", [])

            await until(gemini_is_back, what="the preferred space is back")
        assert gemini.api_key not in stack.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", ["", "   "])
async def test_without_a_key_there_is_no_gemini(key: str) -> None:
    async with running_stack(environment={"GOOGLE_API_KEY": key}) as stack:
        status = await stack.search.GetStatus(pb.GetStatusRequest())
    assert [space.provider for space in status.spaces] == ["minilm"]
