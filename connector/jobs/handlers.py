"""Which journey does which kind of work. Webhook deliveries are joined in by the roof, which knows that wing."""

from __future__ import annotations

from connector.domain.work import Work
from connector.jobs.runner import Handler
from connector.journeys import (
    connect,
    drift,
    full_sweep,
    inject,
    reconcile,
    refund,
    release,
    renew_access,
    renew_webhooks,
    send_mail,
    sync,
    write_back,
)

TABLE: dict[Work, Handler] = {
    Work.SYNC: sync.run,
    Work.INJECT: inject.run,
    Work.WITHDRAW: inject.withdraw,
    Work.RECONCILE: reconcile.run,
    Work.RELEASE: release.run,
    Work.WRITE_BACK: write_back.run,
    Work.REFUND: refund.send,
    Work.MAIL: send_mail.run,
    Work.REVOKE: connect.revoke,
    Work.DRIFT: drift.run,
    Work.FULL_SWEEP: full_sweep.run,
    Work.RENEW: renew_access.run,
    Work.SUBSCRIBE: renew_webhooks.run,
}
