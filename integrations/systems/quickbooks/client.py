"""python-quickbooks as a thin transport: its addresses and parameters, our session, raw JSON in and out.

Nothing of its object layer is used: saving one of its objects rewrites two dozen fields of the merchant's invoice.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import requests
from quickbooks import QuickBooks
from quickbooks.exceptions import QuickbooksException

from connector.contract import Access, Gone
from integrations.http import Session, current_call, send_with_token
from integrations.outcomes import lost
from integrations.systems.quickbooks import faults
from integrations.systems.quickbooks.manifest import MINOR_VERSION

# A Decimal leaves as a JSON number with all its digits.
_encoder = msgspec.json.Encoder(decimal_format="number")
_BACKGROUND = 30.0


class _Transport(QuickBooks):  # type: ignore[misc]
    """The library's client speaking through our session, with answers raised before the library sees them.

    Left to itself it has no time limit, takes 429 for a validation error and stumbles over faults without a code.
    """

    def __init__(self, *, access: Access, session: Session, api: str, **_: object) -> None:
        self._access = access
        self._api = api.rstrip("/")
        self.session = session

    @property
    def api_url(self) -> str:
        return f"{self._api}/v3"

    def process_request(
        self, request_type: str, url: str, headers: Any = None, params: Any = None, data: Any = None
    ) -> requests.Response:
        body = data.encode() if isinstance(data, str) else data or None

        def send(token: str) -> requests.Response:
            return self.session.request(
                request_type,
                url,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                params=params or None,
                data=body,
            )

        response = send_with_token(self._access, faults.TITLE, send)
        # Without it requests guesses the character set of answers that do not name one.
        response.encoding = "utf-8"
        faults.check(current_call(), response)
        return response


class Client:
    """The v3 calls we make for one connection. All raise the contract's answers; dicts carry numbers as Decimal."""

    def __init__(self, session: Session, api: str, access: Access) -> None:
        self._session = session
        self._access = access
        self._realm = access.tenant
        self._quickbooks = _Transport(
            company_id=access.tenant,
            minorversion=MINOR_VERSION,
            use_decimal=True,
            access=access,
            session=session,
            api=api,
        )

    def count(self, entity: str, where: str = "") -> tuple[int, str]:
        """How many there are, and the upstream's clock ('time') when it counted."""
        answer = self._ask(f"{entity.lower()}.count", f"SELECT COUNT(*) FROM {entity}{where}")  # noqa: S608 - not SQL
        return int(answer.get("QueryResponse", {}).get("totalCount") or 0), str(answer.get("time") or "")

    def rows(self, entity: str, where: str = "", *, start: int = 1, most: int = 1000) -> list[dict[str, Any]]:
        """Up to 1,000 records as dicts."""
        select = f"SELECT * FROM {entity}{where} STARTPOSITION {start} MAXRESULTS {most}"  # noqa: S608 - not SQL
        found = self._ask(f"{entity.lower()}.query", select).get("QueryResponse", {}).get(entity)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def rows_raw(self, entity: str, select: str) -> bytes:
        """The answer to a query as it came, for mapping in bulk."""
        with self._call(f"{entity.lower()}.query", patience=_BACKGROUND):
            response = self._quickbooks.process_request(
                "POST",
                f"{self._quickbooks.api_url}/company/{self._realm}/query",
                headers={"Content-Type": "application/text", "Accept": "application/json"},
                params={"minorversion": MINOR_VERSION},
                data=select,
            )
            return bytes(response.content)

    def changes_raw(self, entity: str, since: str) -> bytes:
        """The answer to a change data capture call as it came."""
        with self._call(f"{entity.lower()}.cdc", patience=_BACKGROUND):
            response = self._quickbooks.process_request(
                "GET",
                f"{self._quickbooks.api_url}/company/{self._realm}/cdc",
                headers={"Accept": "application/json"},
                params={"entities": entity, "changedSince": since, "minorversion": MINOR_VERSION},
            )
            return bytes(response.content)

    def read(self, entity: str, remote_id: str, **params: str) -> dict[str, Any]:
        """One record. Raises Gone."""
        with self._call(f"{entity.lower()}.read"):
            url = f"{self._quickbooks.api_url}/company/{self._realm}/{entity.lower()}/{_number(remote_id)}"
            return self._only(self._run(self._quickbooks.get, url, params=dict(params)), entity)

    def company(self) -> dict[str, Any]:
        """The organisation's CompanyInfo."""
        return self.read("CompanyInfo", self._realm)

    def preferences(self) -> dict[str, Any]:
        """The organisation's Preferences."""
        found = self.rows("Preferences")
        return found[0] if found else {}

    def write(
        self,
        operation: str,
        entity: str,
        body: Mapping[str, Any],
        *,
        request_id: str = "",
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Create or change one record.

        `request_id` makes Intuit replay its first answer to a repetition, a refusal too. Changes go without: there the
        SyncToken sees to it that nothing happens twice, and a refusal whose cause is removed must not come back.
        """
        with self._call(f"{entity.lower()}.{operation}", writes=True):
            return self._only(
                self._run(
                    self._quickbooks.update_object,
                    entity,
                    _encoder.encode(body).decode(),
                    request_id=request_id or uuid.uuid4().hex,
                    params=dict(params or {}),
                ),
                entity,
            )

    def pdf(self, entity: str, remote_id: str) -> bytes:
        """The record as QuickBooks prints it."""
        with self._call(f"{entity.lower()}.pdf", expects="pdf") as call:
            body = bytes(self._run(self._quickbooks.download_pdf, entity, _number(remote_id)))
            if not body.startswith(b"%PDF"):
                raise lost(faults.TITLE, call, "sent something else than a PDF")
            return body

    def _ask(self, operation: str, select: str) -> dict[str, Any]:
        with self._call(operation):
            return self._run(self._quickbooks.query, select)  # type: ignore[no-any-return]

    def _call(self, operation: str, *, writes: bool = False, patience: float = 1.5, expects: str = "json") -> Any:
        return self._session.call(
            operation,
            connection=self._access.connection,
            writes=writes,
            patience=patience,
            expects=expects,
            background=self._access.background,
            # The calls that finish a consent count for the company as well, before it is a connection.
            tenant=self._access.tenant,
        )

    def _run(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Run one of the library's methods; what it cannot read is an answer we have lost."""
        try:
            found = method(*args, **kwargs)
        except (QuickbooksException, TypeError):
            # Not chained: the library puts the whole body into its message.
            raise lost(faults.TITLE, current_call(), "sent an answer that cannot be read") from None
        if not isinstance(found, dict | bytes):
            raise lost(faults.TITLE, current_call(), "sent an answer that cannot be read")
        return found

    def _only(self, answer: dict[str, Any], entity: str) -> dict[str, Any]:
        found = answer.get(entity)
        if not isinstance(found, dict):
            raise lost(faults.TITLE, current_call(), "sent an answer without the record")
        return found


def literal(text: str) -> str:
    """A text as a literal of QuickBooks' query language, quotes and backslashes escaped."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literals(texts: Sequence[str]) -> str:
    """Several texts as a list for IN."""
    return "(" + ", ".join(literal(text) for text in texts) + ")"


def _number(remote_id: str) -> str:
    """An id as it may stand in an address. QuickBooks' ids are digits; anything else never came from it."""
    if not (remote_id.isascii() and remote_id.isdigit()):
        raise Gone("QuickBooks has no record with this id.")
    return remote_id
