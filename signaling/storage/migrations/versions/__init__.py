"""One module per version of the schema; alembic runs them in the order of ``down_revision``."""
