"""duebridge audit-books: whether nothing was lost and nothing doubled, asked of our tables and of the systems."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from connector.config import BadSetting, read_settings

if TYPE_CHECKING:
    from connector.reading.audit import Findings


@click.command("audit-books")
@click.option("--merchant", "merchant_id", type=int, help="Only this merchant's books.")
@click.option("--upstream", is_flag=True, help="Also ask the gateways and accounting systems what stands there.")
@click.option(
    "--calls", default=500, show_default=True, type=click.IntRange(1), help="With --upstream: at most so many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line.")
def audit_books(merchant_id: int | None, upstream: bool, calls: int, as_json: bool) -> None:
    """Check that every payment is in the ledger once and in the books once, and that nothing lies unattended.

    Changes nothing. Ends with exit code 1 when something is wrong.
    """
    from connector import app as roof
    from connector.journeys import ask_the_books
    from connector.reading.audit import audit

    try:
        wiring = roof.wire(read_settings(os.environ), dispatch=lambda connection, item, delay: None)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem
    try:
        found = audit(wiring.database, wiring.clock(), merchant_id)
        asked = ask_the_books.run(wiring, merchant_id, most_calls=calls) if upstream else None
    finally:
        wiring.database.engine.dispose()
    findings = [*found.findings, *(asked.findings if asked else ())]
    if not as_json:
        for finding in findings:
            whose = "The installation" if finding.merchant is None else f"Merchant {finding.merchant}"
            click.echo(f"{whose}: {finding.what}\n  {finding.do}\n")
        for review in found.needs_review:
            click.echo(f"Waits for a person: payment {review.payment} in {review.system}. {review.problem}")
        if asked:
            left = f", {asked.left} not asked within the budget of {calls} calls" if asked.left else ""
            click.echo(f"Asked upstream: {asked.asked} records{left}; {asked.unanswered} could not be answered.")
        click.echo(_in_words(found, len(findings)))
    else:
        sums = {currency: str(total) for currency, total in found.ledger_sums.items()}
        report: dict[str, object] = {
            "ok": not findings,
            "findings": [asdict(finding) for finding in findings],
            "needs_review": [review._asdict() for review in found.needs_review],
            "counted": dict(found.counted),
            "ledger_sums": sums,
        }
        if asked:
            report["upstream"] = {"asked": asked.asked, "left": asked.left, "unanswered": asked.unanswered}
        click.echo(json.dumps(report, ensure_ascii=False))
    sys.exit(1 if findings else 0)


def _in_words(found: Findings, wrong: int) -> str:
    looked = ", ".join(f"{number} {what}" for what, number in found.counted.items())
    verdict = f"{wrong} finding{'' if wrong == 1 else 's'}" if wrong else "nothing is wrong"
    return f"Looked at {looked}: {verdict}."
