"""Rules and synonyms with their log, popular queries, and the language of products."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("products", sa.Column("language", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "tuning",
        sa.Column("kind", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("update_time_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tuning_changes",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
    )
    op.create_table(
        "popular_queries",
        sa.Column("folded", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("count", sa.Float, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
