"""A write that waits is found when it returns, by all ways in; one too far ahead is refused."""

import json

import httpx
import pytest

from tests.stack import Stack
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_write_over_http_is_found_by_meaning_when_it_returns(sample_stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=sample_stack.http, timeout=30) as client:
        for edition in range(5):
            name = f"Astrolabio de latón, edición {edition}"
            written = await client.put(
                "/v1/products/FRESH-1", params={"wait_searchable": True}, json={"name": name}
            )
            assert written.status_code == 200, written.text
            found = await client.get(
                "/v1/products:search", params={"query": "astrolabe", "mode": "MODE_SEMANTIC"}
            )
            products = [result["product"] for result in found.json()["results"]]
            assert {"id": "FRESH-1", "name": name}.items() <= products[0].items()
            assert int(found.json()["info"]["revision"]) >= int(written.json()["revision"])
        removed = await client.delete("/v1/products/FRESH-1", params={"wait_searchable": True})
        found = await client.get("/v1/products:search", params={"query": "astrolabe"})
        assert "FRESH-1" not in [result["product"]["id"] for result in found.json()["results"]]
        revision = int(removed.json()["revision"])
        reached = await client.get(f"/v1/revisions/{revision}:wait")
        assert int(reached.json()["revision"]) >= revision
        assert reached.json()["space"].startswith("minilm-")


async def test_a_revision_that_does_not_come_is_refused_in_time(sample_stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=sample_stack.http, timeout=30) as client:
        head = (await client.get("/v1/status")).json()["catalog"]["revision"]
        ahead = int(head) + 1000
        refused = [
            await client.get(f"/v1/revisions/{ahead}:wait", params={"timeout": "0.3s"}),
            await client.get(
                "/v1/products/AUD-0012",
                params={"min_revision": ahead},
                headers={"x-request-timeout": "0.3"},
            ),
            await client.get(
                "/v1/products:search",
                params={"query": "queso", "min_revision": ahead, "timeout": "0.3s"},
            ),
        ]
        for response in refused:
            assert response.status_code == 504, response.text
            (info,) = [
                detail
                for detail in response.json()["error"]["details"]
                if detail["@type"].endswith("ErrorInfo")
            ]
            assert info["reason"] == "REVISION_NOT_REACHED"
            assert int(info["metadata"]["revision"]) == int(head)


async def test_the_command_waits_for_what_it_asks_for(sample_stack: Stack) -> None:
    stored = await sample_stack.upsert([catalog_pb2.Product(id="FRESH-2", name="Sextante náutico")])
    code, out, err = await sample_stack.cli("get", "FRESH-2", "--min-revision", str(stored))
    assert code == 0, err
    assert "Sextante" in out
    code, out, err = await sample_stack.cli("delete", "FRESH-2", "--yes", "--wait", "--json")
    assert code == 0, err
    revision = int(json.loads(out)["revision"])
    answer = await sample_stack.search.Search(
        pb.SearchRequest(query="sextante", mode=pb.MODE_SEMANTIC)
    )
    assert answer.info.revision >= revision
    assert "FRESH-2" not in [result.product.id for result in answer.results]
    code, _, err = await sample_stack.cli(
        "get", "AUD-0012", "--min-revision", str(revision + 1000), "--timeout", "0.3"
    )
    assert code == 1
    assert f"only {revision}" in err
