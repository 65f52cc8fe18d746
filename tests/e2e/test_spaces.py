"""A new model is put in front, takes over when it is ready, and is rolled back."""

import os
from pathlib import Path

import pytest

from tests.embedder_support import MINILM_FOLDER, another_model
from tests.stack import SAMPLE, Stack, running_stack
from tests.support import until
from vitrina.search.v1 import search_pb2 as pb

PRODUCTS = 60


async def answering_space(stack: Stack, query: str) -> str:
    answer = await stack.search.Search(pb.SearchRequest(query=query, skip_cache=True), timeout=10)
    assert answer.results
    assert not answer.info.degraded
    return answer.info.space


@pytest.mark.timeout(240)
async def test_a_new_model_takes_over_and_is_rolled_back_without_a_gap(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:PRODUCTS]
    few.write_text("".join(lines))
    queries = tmp_path / "queries.tsv"
    queries.write_text("q1\talgo para la casa\nq2\tun regalo\n")
    new_model = another_model(tmp_path / "new-model")
    data_dir = tmp_path / "data"

    async with running_stack(data_dir) as stack:
        code, out, err = await stack.cli("import", str(few), "--wait", "--json")
        assert code == 0, out + err
        (old,) = [collection.space for collection in await stack.collections()]

    both = {"VITRINA_MODEL_DIR": f"{new_model}{os.pathsep}{MINILM_FOLDER}"}
    async with running_stack(data_dir, both) as stack:
        seen: list[str] = []

        async def has_taken_over() -> bool:
            seen.append(await answering_space(stack, "algo para la casa"))
            return seen[-1] != old

        await until(has_taken_over, seconds=60, what="the new space answers")
        new = seen[-1]
        assert new.startswith("minilm-new-model-")
        assert set(seen) == {old, new} or set(seen) == {new}
        by_space = {collection.space: collection for collection in await stack.collections()}
        assert by_space[old].embedded_documents == 0
        assert by_space[new].embedded_documents == PRODUCTS

        compare = ("spaces", "compare", old, new, "--queries", str(queries))
        code, out, err = await stack.cli(*compare, "--min-overlap", "0")
        assert code == 0, out + err
        code, out, err = await stack.cli("spaces", "use", old)
        assert code == 0, out + err
        assert await answering_space(stack, "un regalo") == old
        code, out, err = await stack.cli("spaces", "use", "--auto")
        assert code == 0, out + err
        assert await answering_space(stack, "un regalo") == new

    async with running_stack(data_dir) as stack:
        assert await answering_space(stack, "un regalo") == old

        async def is_gone() -> bool:
            code, _, _ = await stack.cli("spaces", "drop", new, "--yes")
            return code == 0

        await until(is_gone, what="the new space is dropped")
        assert [collection.space for collection in await stack.collections()] == [old]
        assert not (data_dir / "index" / new).exists()
