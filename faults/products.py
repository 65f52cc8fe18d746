"""Products of which every field follows from seed, id and version: any can be checked."""

import random
from functools import lru_cache

from google.protobuf.struct_pb2 import Value

from vitrina.catalog.v1 import catalog_pb2 as pb

WORDS = ("lámpara", "mesa", "silla", "roble", "haya", "blanca", "negra", "plegable", "cocina")
CATEGORIES = (
    "Hogar > Mesas",
    "Hogar > Sillas",
    "Hogar > Sillas > Plegables",
    "Luz",
    "Luz > Lámparas",
    "Jardín",
)
# In the last ones little changes, so that answers about them are cached for long.
_CATEGORY_WEIGHTS = (6, 6, 6, 4, 2, 1)
BRANDS = ("Olmo", "Brisa", "Duna")
SHELVES = ("a", "b", "c")
_INACTIVE_SHARE = 0.05


@lru_cache(maxsize=50_000)
def product_of(seed: int, product_id: str, version: int) -> pb.Product:
    """Return the product as a writer sends it. The version is its stock."""
    chance = random.Random(f"{seed}/{product_id}/{version}")
    return pb.Product(
        id=product_id,
        name=f"{' '.join(chance.sample(WORDS, 3))} {sku_of(product_id)}",
        description=f"versión {version} de {chance.choice(WORDS)} y {chance.choice(WORDS)}",
        category=chance.choices(CATEGORIES, _CATEGORY_WEIGHTS)[0],
        brand=chance.choice(BRANDS),
        price=f"{chance.randrange(100, 99_999) / 100:.2f}",
        currency="EUR",
        stock=version,
        active=chance.random() >= _INACTIVE_SHARE,
        attributes={
            "sku": Value(string_value=sku_of(product_id)),
            "shelf": Value(string_value=chance.choice(SHELVES)),
        },
    )


def sku_of(product_id: str) -> str:
    """Return the word that is in the name of this product alone."""
    return "sku" + "".join(sign for sign in product_id if sign.isalnum())


def version_of(seed: int, shown: pb.Product) -> int | None:
    """Return which version this is; None if it is none that a writer could have sent."""
    copy = pb.Product()
    copy.CopyFrom(shown)
    for field in ("create_time", "update_time", "revision"):
        copy.ClearField(field)
    return shown.stock if copy == product_of(seed, shown.id, shown.stock) else None
