"""How the tables came to be, step by step. The store runs them at start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from services.common.errors import StartRefused


def migrate(connection: Connection) -> None:
    """Bring the database to the newest tables, within the transaction at work.

    StartRefused if they are newer than what is known here.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StartRefused(
            f"the tables of the catalog are not known here ({error}); a newer version made them",
            reason="DATA_OF_NEWER_VERSION",
        ) from error
