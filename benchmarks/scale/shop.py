"""The synthetic shop: as many products as wanted, each shaped like a real one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from benchmarks.queries import Product
from benchmarks.scale.drawing import Integers, code_of
from benchmarks.scale.mixing import mixed
from vitrina.catalog.v1 import catalog_pb2 as pb

FRACTIONS = (0.5, 0.1, 0.01)
_STOCKS = 1000
_PRICE_STREAM, _STOCK_STREAM = 11, 12
_TEXT_FIELDS = ("name", "description", "category", "brand", "image_url", "language")


@dataclass(frozen=True)
class Passing:
    """A filter, and by number which products pass it."""

    name: str
    text: str
    mask: NDArray[np.bool_] | None

    def count(self, products: int) -> int:
        """How many pass."""
        return products if self.mask is None else int(np.count_nonzero(self.mask))


class Shop:
    """Product number i has the texts, brand, category and attributes of the real product i modulo
    their count, its name followed by a code of its own; its price up to a tenth away from that
    one's; and a stock that has nothing to do with what it is.
    """

    def __init__(self, products: Sequence[Product], size: int) -> None:
        self.size = size
        self._real = [_as_proto(product) for product in products]
        numbers = np.arange(size, dtype=np.int64)
        real_prices = np.array([_price_e4(product) for product in self._real])
        shifts = 900 + (mixed(numbers, _PRICE_STREAM) % np.uint64(201)).astype(np.int64)
        # -1: no price
        of_anchor = real_prices[numbers % len(products)]
        self._prices_e4 = np.where(of_anchor < 0, -1, of_anchor * shifts // 1000)
        self._stocks = (mixed(numbers, _STOCK_STREAM) % np.uint64(_STOCKS)).astype(np.int64)

    def product(self, number: int, version: int = 0, *, price_change_e4: int = 0) -> pb.Product:
        """Return a product; each version has a text of its own."""
        real = self._real[number % len(self._real)]
        product = pb.Product()
        product.CopyFrom(real)
        product.id = str(number)
        product.name = f"{real.name[:900]} {code_of(number, version)}"
        product.stock = int(self._stocks[number])
        price_e4 = int(self._prices_e4[number])
        if price_e4 >= 0:
            product.price = _decimal(price_e4 + price_change_e4)
        return product

    def batches(self, count: int) -> Iterator[pb.BatchUpsertProductsRequest]:
        """Yield all products, so many at once."""
        for start in range(0, self.size, count):
            numbers = range(start, min(start + count, self.size))
            yield pb.BatchUpsertProductsRequest(products=map(self.product, numbers))

    def filters(self) -> list[Passing]:
        """Return filters that pass about a half, a tenth and a hundredth of all products.

        By price they pass what lies together, as cheap products are alike; by stock they pass
        products of all kinds.
        """
        made: list[Passing] = []
        for fraction in FRACTIONS:
            priced = self._prices_e4[self._prices_e4 >= 0]
            limit_e4 = int(np.quantile(priced, min(1.0, fraction * self.size / len(priced))))
            mask = (self._prices_e4 >= 0) & (self._prices_e4 <= limit_e4)
            text = f"price <= {_decimal(limit_e4)}"
            made.append(Passing(f"price, {fraction:.0%}", text, mask))
        for fraction in FRACTIONS:
            limit = round(fraction * _STOCKS)
            made.append(Passing(f"stock, {fraction:.0%}", f"stock < {limit}", self._stocks < limit))
        return made


def number_of(product_id: str) -> int:
    """Return the number of a product."""
    return int(product_id)


def numbers_of(product_ids: Sequence[str]) -> Integers:
    """Return the numbers of products."""
    return np.array([number_of(id_) for id_ in product_ids], dtype=np.int64)


def _as_proto(product: Product) -> pb.Product:
    made = pb.Product(**{name: product[name] for name in _TEXT_FIELDS if product.get(name)})
    if product.get("price") is not None:
        made.price = str(product["price"])
        made.currency = product.get("currency", "EUR")
    for name, value in product.get("attributes", {}).items():
        if isinstance(value, bool):
            made.attributes[name].bool_value = value
        elif isinstance(value, str):
            made.attributes[name].string_value = value
        else:
            made.attributes[name].number_value = value
    return made


def _price_e4(product: pb.Product) -> int:
    return int(Decimal(product.price).scaleb(4)) if product.price else -1


def _decimal(price_e4: int) -> str:
    return f"{price_e4 // 10_000}.{price_e4 % 10_000:04}"
