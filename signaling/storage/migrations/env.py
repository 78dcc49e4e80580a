"""Runs migrations on the connection that :func:`signaling.storage.schema.upgrade` hands over."""

from alembic import context

from signaling.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a table in place; alembic then rebuilds it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
