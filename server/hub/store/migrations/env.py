"""Run migrations on the hub's connection, within its transaction."""

from alembic import context

from gnomon.server.hub.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
