"""Brings a database to the newest schema with the migrations inside this package."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from signaling.errors import StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0008"
"""The newest revision; a test holds it equal to what the migrations say."""


def upgrade(connection: Connection) -> None:
    """
    Run the migrations that the database has not seen yet.

    :raises StorageError: if it has seen others than there are.
    """
    if connection.dialect.name == "postgresql":
        # Servers of other accounts may start at the same time.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('parlour migrations'))"))
    if _revision_of(connection) == HEAD:
        # Nearly every start: the migrations' tool takes longer to load than all else of the store.
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    # The path may hold a percent sign, which the option's syntax would read as a variable.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(str(error)) from error


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
