"""What is asked: queries out of a catalog's own names, and the ways in which each is asked."""

import gzip
import json
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from vitrina.search.v1 import search_pb2 as pb

Product: TypeAlias = dict[str, Any]

PAGE_SIZE = 10
_FACETS = ("brand", "price(0,50,100,500)")


def read_products(file: Path, limit: int) -> list[Product]:
    """Return the first products of a JSONL file, packed or not."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(limit), lines, strict=False)]


def write_products(file: Path, products: Sequence[Product]) -> Path:
    """Write products as JSON lines; return the file."""
    file.write_text("".join(json.dumps(p) + "\n" for p in products), encoding="utf-8")
    return file


def queries_from(names: list[str], count: int) -> list[str]:
    """Return distinct queries of two or three words out of product names; always the same ones."""
    chance = random.Random(7)
    queries: dict[str, None] = {}
    for name in chance.sample(names, min(len(names), count * 2)):
        words = [word for word in name.split() if word.isalpha()]
        if len(words) >= 2:
            queries[" ".join(words[: chance.choice([2, 3])])] = None
    return list(queries)[:count]


def price_filter(products: Sequence[Product]) -> str:
    """Return a filter that about half of the products with a price pass."""
    prices = [float(product["price"]) for product in products if product.get("price")]
    return f"price < {statistics.median(prices):.2f}" if prices else "price < 1"


def cached(query: str) -> pb.SearchRequest:
    """Return the request whose answer the cache holds once it was asked."""
    return pb.SearchRequest(query=query, page_size=PAGE_SIZE)


def computed(query: str, passing: str) -> dict[str, pb.SearchRequest]:
    """Return a request for each kind of computed answer."""

    def request(**fields: Any) -> pb.SearchRequest:
        return pb.SearchRequest(query=query, page_size=PAGE_SIZE, skip_cache=True, **fields)

    return {
        "hybrid": request(),
        "semantic": request(mode=pb.MODE_SEMANTIC),
        "lexical": request(mode=pb.MODE_LEXICAL),
        "hybrid, price filter": request(filter=passing),
        "hybrid, facets": request(facets=_FACETS),
    }
