"""Products as engines of flat columns take them, and their vectors; in files between processes."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = "rows.jsonl"
_VECTORS = "vectors.npy"

# All of a product, as a search returns it.
FIELDS = ("id", "name", "description", "brand", "category", "price", "currency", "attributes")


@dataclass(frozen=True)
class Row:
    """A product; attributes are JSON, since most engines have no nested fields."""

    id: str
    name: str
    description: str
    brand: str
    category: str
    price: float
    currency: str
    attributes: str
    # What is embedded, and searched for words.
    text: str

    @classmethod
    def of(cls, product: dict[str, Any]) -> "Row":
        """Return a product of a catalog as a row. KeyError where it has no price."""
        parts = (product.get(field, "") for field in ("name", "brand", "category", "description"))
        return cls(
            id=product["id"],
            name=product["name"],
            description=product.get("description", ""),
            brand=product.get("brand", ""),
            category=product.get("category", ""),
            price=float(product["price"]),
            currency=product.get("currency", ""),
            attributes=json.dumps(product.get("attributes", {}), ensure_ascii=False),
            text=". ".join(filter(None, parts)),
        )

    def fields(self) -> dict[str, Any]:
        """Return all that a search returns."""
        return {field: getattr(self, field) for field in FIELDS}


def write_catalog(folder: Path, rows: Iterable[Row], vectors: NDArray[np.float32]) -> None:
    """Write rows and their vectors, [rows, dimensions]."""
    with (folder / _ROWS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
    np.save(folder / _VECTORS, vectors)


def read_catalog(folder: Path) -> tuple[list[Row], NDArray[np.float32]]:
    """Return what was written."""
    with (folder / _ROWS).open(encoding="utf-8") as file:
        rows = [Row(**json.loads(line)) for line in file]
    vectors: NDArray[np.float32] = np.load(folder / _VECTORS)
    return rows, vectors
