"""Rules and synonyms over HTTP: rest, gateway and catalog as they are wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.catalog import __main__ as catalog
from services.catalog.settings import CatalogSettings
from services.common.server import serving
from services.gateway import __main__ as gateway
from services.gateway.settings import GatewaySettings
from tests.rest_gateway import rest_before
from tests.support import free_port


@asynccontextmanager
async def stack(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run the three without embedder and index, so that words alone find anything."""
    local: dict[str, Any] = {"listen": "127.0.0.1:0"}
    nobody = f"127.0.0.1:{free_port()}"
    async with serving(catalog.compose(CatalogSettings(data_dir=folder, **local))) as port:
        settings = GatewaySettings(
            catalog_address=f"127.0.0.1:{port}",
            embedder_address=nobody,
            index_address=nobody,
            **local,
        )
        async with (
            serving(gateway.compose(settings)) as gateway_port,
            rest_before(f"127.0.0.1:{gateway_port}") as client,
        ):
            yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with stack(tmp_path) as running:
        yield running


async def test_a_rule_is_put_listed_and_deleted(client: httpx.AsyncClient) -> None:
    body = {"queries": ["cámara"], "match": "contains", "pins": [{"productId": "a", "position": 2}]}
    put = await client.put("/v1/rules/summer.2", json=body)
    assert put.status_code == 200, put.text
    rule = put.json()["rule"]
    assert (rule["id"], rule["match"], rule["active"]) == (
        "summer.2",
        "QUERY_MATCH_CONTAINS",
        True,
    )
    assert (await client.get("/v1/rules")).json()["rules"] == [rule]
    wrong = await client.put("/v1/rules/summer.2", json={"pins": [{"productId": "a"}]})
    assert wrong.status_code == 400
    assert "rule.pins[0].position" in wrong.text
    assert (await client.delete("/v1/rules/summer.2")).status_code == 200
    assert (await client.delete("/v1/rules/summer.2")).status_code == 404
    log = (await client.get("/v1/tuningChanges")).json()["changes"]
    assert [(line.get("ruleBefore"), line.get("ruleAfter")) for line in log] == [
        (rule, None),
        (None, rule),
    ]


async def test_a_search_after_a_write_goes_by_it(client: httpx.AsyncClient) -> None:
    for product_id, name in (("disk", "Disco duro"), ("hdd", "HDD")):
        stored = await client.put(f"/v1/products/{product_id}", json={"name": name})
        assert stored.status_code == 200, stored.text

    async def found(query: str) -> list[str]:
        asked = {"query": query, "mode": "lexical"}
        answer = await client.get("/v1/products:search", params=asked)
        assert answer.status_code == 200, answer.text
        return [result["product"]["id"] for result in answer.json()["results"]]

    # Twice: the second answer is the first one, kept.
    assert await found("hdd") == await found("hdd") == ["hdd"]
    put = await client.put("/v1/synonyms/disks", json={"phrases": ["disco duro", "hdd"]})
    assert put.status_code == 200, put.text
    assert await found("hdd") == ["hdd", "disk"]
    await client.delete("/v1/synonyms/disks")
    assert await found("hdd") == ["hdd"]
