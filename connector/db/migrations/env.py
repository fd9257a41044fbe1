"""What Alembic runs: the revisions, in one transaction, on the connection handed over by `connector.db.migrations`."""

from __future__ import annotations

from typing import Any

from alembic import context

from connector.db.tables import metadata


def is_ours(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Whether Alembic may look at it: the job library keeps its own tables beside ours."""
    return not (kind == "table" and reflected and compare_to is None)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=is_ours,
    transactional_ddl=True,
    compare_type=True,
    render_as_batch=context.config.attributes["connection"].dialect.name == "sqlite",
)
context.run_migrations()
