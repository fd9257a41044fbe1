"""Every kind of background work there is; each has one handler (checked by the house tests)."""

from enum import StrEnum


class Work(StrEnum):
    """Kinds of work rows. The value is stored; renaming one is a migration."""

    SYNC = "sync"
    INJECT = "inject"
    WITHDRAW = "withdraw"
    RECONCILE = "reconcile"
    RELEASE = "release"
    WRITE_BACK = "write_back"
    REFUND = "refund"
    MAIL = "mail"
    DELIVERY = "delivery"
    REVOKE = "revoke"
