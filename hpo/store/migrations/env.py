"""What alembic runs for every step: on the connection, and in the transaction, that hpo/store/schema.py hands over."""

from alembic import context

from hpo.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.schema.name,
    render_as_batch=True,  # SQLite cannot change a column: alembic writes the table anew
)
context.run_migrations()
