"""Versions overlap while one is rolled out: the code of the version before works on the tables of the next."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from connector.db import migrations
from connector.db.engine import make_engine
from connector.db.migrations import newest_revision, revision_of, upgrade
from tests.db.conftest import NOW

VERSIONS = Path(migrations.__file__).parent / "versions"
# The schema of the first version, which nobody ran before.
FIRST = "0008"
# Steps that take something away, by revision: what, and the revision since which no code uses it. That must be at
# least two releases old (CONTRIBUTING). Each entry stays for good.
CONTRACTS: dict[str, str] = {}
_ADDS = {"create_table", "create_index", "add_column", "execute", "get_context", "get_bind", "f", "batch_alter_table"}
_TAKES = {
    "drop_table",
    "drop_column",
    "drop_constraint",
    "alter_column",
    "rename_table",
    "create_unique_constraint",
    "create_check_constraint",
    "create_foreign_key",
    "create_primary_key",
    "drop_index",
    "bulk_insert",
}
_TAKING_SQL = ("DROP ", "ALTER COLUMN", "RENAME", "TRUNCATE", "SET NOT NULL", "ADD CONSTRAINT")


def upgrading(source: str) -> list[ast.Call]:
    """The calls a revision makes on its way up, those of functions it calls included."""
    module = ast.parse(source)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    seen: set[str] = set()

    def calls(name: str) -> Iterator[ast.Call]:
        if name in seen or name not in functions:
            return
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Call):
                yield node
                if isinstance(node.func, ast.Name):
                    yield from calls(node.func.id)

    return list(calls("upgrade"))


def narrowings(source: str) -> list[str]:
    """What on a revision's way up could break code that knows the tables as they were; one line each."""
    found = []
    for call in upgrading(source):
        if not isinstance(call.func, ast.Attribute):
            continue
        name, line = call.func.attr, f"line {call.lineno}"
        if name in _TAKES:
            found.append(f"{line}: {name}")
        elif name == "add_column":
            column = call.args[-1]
            given = {word.arg: word.value for word in column.keywords} if isinstance(column, ast.Call) else {}
            nullable = given.get("nullable")
            required = isinstance(nullable, ast.Constant) and nullable.value is False
            if required and "server_default" not in given:
                found.append(f"{line}: a column that must be given and has no default")
        elif name == "execute" and not found:
            text = ast.unparse(call).upper()
            taken = [words for words in _TAKING_SQL if words in text]
            if "CREATE UNIQUE INDEX" in text:
                taken.append("CREATE UNIQUE INDEX")
            found += [f"{line}: {words.strip()}" for words in taken]
        elif name == "create_index" and any(
            word.arg == "unique" and isinstance(word.value, ast.Constant) and word.value.value for word in call.keywords
        ):
            found.append(f"{line}: an index that refuses rows the version before would write")
    return found


def later_revisions() -> list[Path]:
    """The revisions that are installed over a version people run."""
    return [path for path in sorted(VERSIONS.glob("[0-9]*.py")) if path.stem.partition("_")[0] > FIRST]


@pytest.mark.parametrize("path", later_revisions(), ids=lambda path: path.stem)
def test_a_revision_only_adds(path: Path) -> None:
    revision = path.stem.partition("_")[0]
    # What is done to a table the revision itself makes concerns nobody before it.
    found = narrowings(path.read_text(encoding="utf-8"))
    assert not found or revision in CONTRACTS, (
        f"{path.name} {found}: code of the version before still runs while this is done. Add first, take away two "
        "releases later, and name that step in CONTRACTS."
    )


@pytest.mark.parametrize(
    "line",
    [
        "op.drop_column('payments', 'method')",
        "op.alter_column('payments', 'method', nullable=False)",
        "op.add_column('payments', sa.Column('a', sa.Text(), nullable=False))",
        "op.create_index('x', 'payments', ['method'], unique=True)",
        "op.execute('ALTER TABLE payments DROP COLUMN method')",
        "_more()",
    ],
)
def test_a_planted_narrowing_is_found(line: str) -> None:
    assert narrowings(f"def upgrade():\n    {line}\n\ndef _more():\n    op.drop_table('payments')\n")


@pytest.mark.parametrize(
    "line",
    [
        "op.create_table('x', sa.Column('a', sa.Text(), nullable=False))",
        "op.add_column('payments', sa.Column('a', sa.Text()))",
        "op.add_column('payments', sa.Column('a', sa.Text(), nullable=False, server_default=''))",
        "op.create_index('x', 'payments', ['method'])",
    ],
)
def test_an_addition_is_no_narrowing(line: str) -> None:
    assert not narrowings(f"def upgrade():\n    {line}\n\ndef downgrade():\n    op.drop_table('x')\n")


def _chain() -> list[str]:
    scripts = ScriptDirectory.from_config(migrations._config()).walk_revisions()
    return [script.revision for script in reversed(list(scripts))]


def _value(column: sa.Column[object], number: int) -> object:
    kind = column.type
    if isinstance(kind, sa.LargeBinary):
        return bytes([number])
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer | sa.Numeric):
        return number
    if isinstance(kind, sa.DateTime | sa.Date):
        return NOW
    return f"{number}"[: getattr(kind, "length", None) or 10]


def _old_code_writes(engine: sa.Engine, old: sa.MetaData) -> None:
    """One row into every table as the version before knew it: each column that it had to give, and no other."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET session_replication_role = replica"))
            connection.execute(sa.text("SELECT set_config('app.merchant', '*', true)"))
        for table in old.tables.values():
            if table.name in ("alembic_version", "ledger_entries", "ledger_lines"):
                continue
            given = {
                column.name: _value(column, 1)
                for column in table.columns
                if not column.nullable and column.server_default is None
            }
            connection.execute(sa.insert(table).values(given))


def test_code_of_the_version_before_writes_and_reads_on_the_newest_tables(database_url: str) -> None:
    upgrade(database_url, FIRST)
    engine = make_engine(database_url, connections=2)
    old = sa.MetaData()
    old.reflect(engine)
    engine.dispose()
    upgrade(database_url)
    assert revision_of(database_url) == newest_revision()
    engine = make_engine(database_url, connections=2)
    if engine.dialect.name == "sqlite":
        # Rows that stand alone: whether they refer to something is not what is asked here.
        sa.event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA foreign_keys=OFF"))
    _old_code_writes(engine, old)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT set_config('app.merchant', '*', true)"))
        for table in old.tables.values():
            # Every column is named, as SQLAlchemy names them: one that is gone would be missed.
            connection.execute(sa.select(table)).all()
    engine.dispose()


def test_the_version_before_leaves_a_newer_database_alone(database_url: str) -> None:
    """Its `db upgrade`, at a start or a rollback, must neither fail nor take anything back."""
    upgrade(database_url)
    engine = make_engine(database_url, connections=1)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    upgrade(database_url)
    assert revision_of(database_url) == "9999"


def test_revisions_are_numbered_in_the_order_they_run() -> None:
    assert _chain() == sorted(_chain())
