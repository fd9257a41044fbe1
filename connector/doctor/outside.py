"""What lies outside the machine: the mail server, and our own address as the world sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

from connector.config import Settings
from connector.contract import TryAgain
from connector.doctor.database import skew
from connector.doctor.finding import Finding, fail, ok, warn
from connector.wiring import Wiring

_TIMEOUT = (5.0, 10.0)


def mail(wiring: Wiring) -> Iterator[Finding]:
    """Say hello as before a mail, with encryption and password as configured, and goodbye."""
    smtp = wiring.settings.smtp
    try:
        wiring.mail.greet()
    except TryAgain as answer:
        yield fail(
            "mail",
            f"{answer.why} It is looked for at {smtp.host}, port {smtp.port}, security {smtp.security}.",
            "Put DUEBRIDGE_SMTP_HOST, _PORT, _SECURITY, _USERNAME and _PASSWORD right.",
        )
    else:
        how = "unencrypted" if smtp.security == "none" else f"encrypted by {smtp.security}"
        yield ok("mail", f"{smtp.host} takes mail from us, {how}{', with a password' if smtp.username else ''}.")


def public_address(told: Settings) -> Iterator[Finding]:
    """Open our own address as a customer would, and read the time it answers with."""
    if urlsplit(told.public_url).scheme != "https":
        yield warn("address", f"{told.public_url} is not https.", "Put a reverse proxy with TLS in front.")
    before = time.time()
    try:
        answer = requests.get(f"{told.public_url}/healthz", timeout=_TIMEOUT, allow_redirects=False)
    except requests.exceptions.SSLError:
        yield fail("address", f"The certificate of {told.public_url} is not valid.", "Renew it, with its whole chain.")
        return
    except requests.exceptions.RequestException as fault:
        yield fail(
            "address",
            f"{told.public_url} does not answer from here ({type(fault).__name__}).",
            "Start the web process and the proxy, and see whether the name leads to this machine.",
        )
        return
    if answer.status_code != 200 or not _is_ours(answer):
        yield fail(
            "address",
            f"{told.public_url}/healthz is answered with {answer.status_code}, and not by Duebridge.",
            "Let the proxy pass every path of this host on to the web process.",
        )
        return
    yield ok("address", f"{told.public_url} is answered by Duebridge.")
    if stated := answer.headers.get("Date"):
        # The header has whole seconds.
        theirs = parsedate_to_datetime(stated).timestamp() + 0.5
        yield skew("clock", theirs - (before + time.time()) / 2, "the proxy's")


def _is_ours(answer: requests.Response) -> bool:
    try:
        said = answer.json()
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("ok") is True
