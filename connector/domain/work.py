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
    DRIFT = "drift"
    FULL_SWEEP = "full_sweep"
    RENEW = "renew"
    SUBSCRIBE = "subscribe"


# What customers and merchants wait for: it has threads of its own, and takes what other work must leave of an
# upstream's limits.
WAITED_FOR = frozenset(
    {
        Work.RECONCILE,
        Work.RELEASE,
        Work.WRITE_BACK,
        Work.REFUND,
        Work.MAIL,
        Work.DELIVERY,
        Work.REVOKE,
    }
)
