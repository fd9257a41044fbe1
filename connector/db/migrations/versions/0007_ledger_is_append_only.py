"""The ledger guards itself: an entry goes in only balanced and whole, and nothing is ever changed or deleted."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("ledger_entries", "ledger_lines")

# Lines are written before their entry; the deferred foreign key refuses, at commit, lines that never get one.
_UNBALANCED = """
    SELECT 1 FROM ledger_lines WHERE entry_id = NEW.id GROUP BY currency HAVING SUM(amount) <> 0
"""
_SQLITE = (
    f"""
    CREATE TRIGGER ledger_entries_balanced BEFORE INSERT ON ledger_entries BEGIN
        SELECT RAISE(ABORT, 'a ledger entry has at least two lines, written before it')
        WHERE (SELECT COUNT(*) FROM ledger_lines WHERE entry_id = NEW.id) < 2;
        SELECT RAISE(ABORT, 'the lines of a ledger entry belong to its merchant')
        WHERE EXISTS (SELECT 1 FROM ledger_lines WHERE entry_id = NEW.id AND merchant_id <> NEW.merchant_id);
        SELECT RAISE(ABORT, 'the lines of a ledger entry sum to zero in each currency')
        WHERE EXISTS ({_UNBALANCED});
    END
    """,  # noqa: S608 - constant text
    """
    CREATE TRIGGER ledger_lines_before_entry BEFORE INSERT ON ledger_lines
    WHEN EXISTS (SELECT 1 FROM ledger_entries WHERE id = NEW.entry_id) BEGIN
        SELECT RAISE(ABORT, 'a ledger entry is complete once written; book a reversal');
    END
    """,
    *(
        f"""
        CREATE TRIGGER {table}_no_{change} BEFORE {change} ON {table} BEGIN
            SELECT RAISE(ABORT, 'the ledger is append-only; book a reversal');
        END
        """
        for table in _TABLES
        for change in ("update", "delete")
    ),
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION ledger_entries_balanced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT COUNT(*) FROM ledger_lines WHERE entry_id = NEW.id) < 2 THEN
            RAISE EXCEPTION 'a ledger entry has at least two lines, written before it'
                USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (SELECT 1 FROM ledger_lines WHERE entry_id = NEW.id AND merchant_id <> NEW.merchant_id) THEN
            RAISE EXCEPTION 'the lines of a ledger entry belong to its merchant'
                USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS ({_UNBALANCED}) THEN
            RAISE EXCEPTION 'the lines of a ledger entry sum to zero in each currency'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,  # noqa: S608 - constant text
    """
    CREATE TRIGGER ledger_entries_balanced BEFORE INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_entries_balanced()
    """,
    """
    CREATE FUNCTION ledger_lines_before_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM ledger_entries WHERE id = NEW.entry_id) THEN
            RAISE EXCEPTION 'a ledger entry is complete once written; book a reversal'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER ledger_lines_before_entry BEFORE INSERT ON ledger_lines
    FOR EACH ROW EXECUTE FUNCTION ledger_lines_before_entry()
    """,
    # Two transactions do not see each other's rows, so the sum is looked at once more when the line commits.
    """
    CREATE FUNCTION ledger_lines_balanced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (
            SELECT 1 FROM ledger_lines WHERE entry_id = NEW.entry_id GROUP BY currency HAVING SUM(amount) <> 0
        ) THEN
            RAISE EXCEPTION 'the lines of a ledger entry sum to zero in each currency'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER ledger_lines_balanced AFTER INSERT ON ledger_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_lines_balanced()
    """,
    """
    CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'the ledger is append-only; book a reversal'
            USING ERRCODE = 'check_violation';
    END $$
    """,
    *(
        f"""
        CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
        FOR EACH {"STATEMENT" if change == "TRUNCATE" else "ROW"} EXECUTE FUNCTION ledger_is_append_only()
        """
        for table in _TABLES
        for change in ("UPDATE", "DELETE", "TRUNCATE")
    ),
)


def upgrade() -> None:
    """Create the triggers."""
    for statement in _SQLITE if op.get_context().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    if op.get_context().dialect.name == "sqlite":
        for name in ("ledger_entries_balanced", "ledger_lines_before_entry"):
            op.execute(f"DROP TRIGGER {name}")
        for table in _TABLES:
            for change in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_no_{change}")
        return
    for function in (
        "ledger_entries_balanced",
        "ledger_lines_before_entry",
        "ledger_lines_balanced",
        "ledger_is_append_only",
    ):
        op.execute(f"DROP FUNCTION {function}() CASCADE")
