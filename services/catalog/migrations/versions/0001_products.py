"""Products, their changes, and the index of their words."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    catalog = op.create_table(
        "catalog",
        sa.Column("catalog_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("product_count", sa.BigInteger, nullable=False),
        sa.Column("text_rules", sa.Integer, nullable=False),
    )
    op.bulk_insert(
        catalog,
        [{"catalog_id": str(uuid.uuid4()), "revision": 0, "product_count": 0, "text_rules": 0}],
    )
    op.create_table(
        "products",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("update_time_us", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("price", sa.BigInteger),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("stock", sa.BigInteger),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("brand", sa.Text, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.CheckConstraint("price >= 0", name="price_is_not_negative"),
        sa.CheckConstraint("stock >= 0", name="stock_is_not_negative"),
    )
    op.create_index("products_by_category", "products", ["category", "id"])
    op.create_table(
        "changes",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("product_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("category_before", sa.Text),
        sa.Column("category_after", sa.Text),
    )
    # The words come folded already, so the tokenizer has only to split them.
    op.execute(
        "CREATE VIRTUAL TABLE words USING fts5("
        "name, brand, category, description, attributes, "
        "tokenize = 'unicode61 remove_diacritics 0')"
    )
