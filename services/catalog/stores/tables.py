"""The tables of the catalog, as the migrations make them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

from services.catalog.products import PRICE_DECIMALS, Attributes, Product, StoredProduct

metadata = MetaData()

# One row: the newest revision, how many products there are, the catalog's name for
# itself, and the rules that the indexed words were made by.
catalog = Table(
    "catalog",
    metadata,
    Column("catalog_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("product_count", BigInteger, nullable=False),
    Column("text_rules", Text, nullable=False),
)

# Short columns come first: those that filter are then read without the long texts.
products = Table(
    "products",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("revision", BigInteger, nullable=False),
    Column("category", Text, nullable=False),
    # Product.size_bytes, so that a page is cut before its products are read.
    Column("size_bytes", Integer, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    Column("active", Boolean(create_constraint=False), nullable=False),
    # In units of its last decimal: exact, and ordered as prices are.
    Column("price", BigInteger),
    Column("currency", Text, nullable=False),
    Column("stock", BigInteger),
    Column("name", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("language", Text, nullable=False, server_default=""),
    CheckConstraint("price >= 0", name="price_is_not_negative"),
    CheckConstraint("stock >= 0", name="stock_is_not_negative"),
    Index("products_by_category", "category", "id"),
)

# What products are named by, as text.identifiers has it; only those that are active.
identifiers = Table(
    "identifiers",
    metadata,
    Column("identifier", Text, primary_key=True),
    Column("product_key", Integer, primary_key=True),
    Index("identifiers_by_product", "product_key"),
    sqlite_with_rowid=False,
)

# Append-only.
changes = Table(
    "changes",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("category_before", Text),
    Column("category_after", Text),
)

# Rules and synonyms: `kind` says which, `body` is their JSON.
tuning = Table(
    "tuning",
    metadata,
    Column("kind", Integer, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Append-only: what each of their changes was, null where there was nothing.
tuning_changes = Table(
    "tuning_changes",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
)

# How often queries were asked: `count` is as of `time_us`, and older askings count less.
popular_queries = Table(
    "popular_queries",
    metadata,
    Column("folded", Text, primary_key=True),
    Column("query", Text, nullable=False),
    Column("count", Float, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What a row holds of a product, in the order in which `product_of` takes it.
PRODUCT_COLUMNS = (
    products.c.id,
    products.c.name,
    products.c.description,
    products.c.category,
    products.c.brand,
    products.c.price,
    products.c.currency,
    products.c.stock,
    products.c.attributes,
    products.c.image_url,
    products.c.active,
    products.c.revision,
    products.c.create_time_us,
    products.c.update_time_us,
    products.c.language,
)


def product_of(row: Sequence[Any]) -> StoredProduct:
    """Return the product of a row that ends with PRODUCT_COLUMNS, as the driver reads it."""
    (
        product_id,
        name,
        description,
        category,
        brand,
        units,
        currency,
        stock,
        attributes,
        image_url,
        active,
        revision,
        create_time_us,
        update_time_us,
        language,
    ) = row[-len(PRODUCT_COLUMNS) :]
    product = Product(
        product_id,
        name,
        description,
        category,
        brand,
        None if units is None else Decimal(units).scaleb(-PRICE_DECIMALS),
        currency,
        stock,
        Attributes(attributes),
        image_url,
        bool(active),
        language,
    )
    return StoredProduct(product, revision, create_time_us, update_time_us)


def row_of(stored: StoredProduct) -> dict[str, object]:
    """Return the values of a product's row for the driver, without its key."""
    product = stored.product
    price = product.price
    return {
        "id": product.id,
        "revision": stored.revision,
        "category": product.category,
        "size_bytes": product.size_bytes,
        "create_time_us": stored.create_time_us,
        "update_time_us": stored.update_time_us,
        "active": product.active,
        "price": None if price is None else int(price.scaleb(PRICE_DECIMALS)),
        "currency": product.currency,
        "stock": product.stock,
        "name": product.name,
        "brand": product.brand,
        "image_url": product.image_url,
        "description": product.description,
        "attributes": product.attributes.json_text,
        "language": product.language,
    }
