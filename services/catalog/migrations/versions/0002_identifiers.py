"""Identifiers beside the words, and rules that have a name."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("catalog") as catalog:
        catalog.alter_column("text_rules", existing_type=sa.Integer, type_=sa.Text)
    # The store indexes the words anew, because no rules have this name.
    op.execute("UPDATE catalog SET text_rules = ''")
    op.create_table(
        "identifiers",
        sa.Column("identifier", sa.Text, primary_key=True),
        sa.Column("product_key", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("identifiers_by_product", "identifiers", ["product_key"])
