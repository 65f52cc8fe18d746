"""Queries of well-spelt words, each made from the name of the product that it looks for."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from services.cli.sources import Source, format_of

# Not parts of model numbers or of compounds.
_WORDS = re.compile(r"(?<![\w-])[^\W\d_]{4,}(?![\w-])")
_MAX_WORDS = 3


@dataclass(frozen=True)
class Named:
    """What a query is made from."""

    product_id: str
    name: str
    brand: str


@dataclass(frozen=True)
class Clean:
    """A query of 1 to 3 words, and the product that it is made from."""

    words: tuple[str, ...]
    product_id: str

    @property
    def query(self) -> str:
        """The words as they are typed."""
        return " ".join(self.words)


def products_of(catalog: Path, mapping: dict[str, str]) -> list[Named]:
    """Return the products of a file, as `vitrina import` reads it. Raises Failure."""
    source = Source(catalog, format_of(catalog), mapping=mapping)
    with source.open() as (_, batches):
        return [
            Named(product.id, product.name, product.brand)
            for batch in batches
            for product in batch.products
        ]


def clean_queries(products: Sequence[Named], chance: Random) -> Iterator[Clean]:
    """Give distinct queries in random order, one a product at most.

    The brand comes first in half of those of more than one word; the others are
    words of the name, in their order.
    """
    given: set[str] = set()
    for product in chance.sample(products, len(products)):
        words = list(dict.fromkeys(word.lower() for word in _WORDS.findall(product.name)))
        brand = [word.lower() for word in _WORDS.findall(product.brand)][:1]
        count = chance.randint(1, _MAX_WORDS)
        chosen = brand if count > 1 and chance.random() < 0.5 else []
        others = [word for word in words if word not in chosen]
        count -= len(chosen)
        if len(others) < count:
            continue
        places = sorted(chance.sample(range(len(others)), count))
        query = Clean((*chosen, *(others[at] for at in places)), product.product_id)
        if query.query not in given:
            given.add(query.query)
            yield query
