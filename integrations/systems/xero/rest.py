"""The wire under xero-python: its urllib3 client replaced by our one requests session.

The SDK then keeps to what it is good for, the address and parameters of each call. Time limits, rate limits,
Retry-After, logging and the meaning of failures come from the session (`integrations.http`); the access token is put
in here, per call, so that the SDK never holds one (its Configuration is a singleton that mixes tenants' tokens).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import requests

from connector.contract import Access
from integrations.http import Session, send_with_token

if TYPE_CHECKING:
    from xero_python.accounting import AccountingApi


class _NoToken:
    """Stands where the SDK keeps a tenant's token: there is none to leak."""

    def get_auth_settings(self) -> None:
        """No header from the SDK."""


class RestClient:
    """What xero-python calls in place of its own `RESTClientObject`, for one connection.

    `judge` is given every answer outside 2xx and raises what it means.
    """

    def __init__(self, session: Session, access: Access, judge: Callable[[requests.Response], Exception]) -> None:
        self._session = session
        self._access = access
        self._judge = judge

    def request(
        self,
        method: str,
        url: str,
        query_params: Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        **_: Any,
    ) -> requests.Response:
        """Send one call of the SDK's and return the whole answer, undecoded. `body` is JSON text already."""
        query = [
            (name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in query_params or ()
        ]
        sent = {name: value for name, value in (headers or {}).items() if name != "User-Agent"}

        def send(token: str) -> requests.Response:
            return self._session.request(
                method, url, params=query, data=body, headers={**sent, "Authorization": f"Bearer {token}"}
            )

        answer = send_with_token(self._access, self._session.manifest.title, send)
        if not 200 <= answer.status_code <= 299:
            raise self._judge(answer)
        return answer

    def GET(self, url: str, **call: Any) -> requests.Response:
        """Read."""
        return self.request("GET", url, **call)

    def POST(self, url: str, **call: Any) -> requests.Response:
        """Change."""
        return self.request("POST", url, **call)

    def PUT(self, url: str, **call: Any) -> requests.Response:
        """Create."""
        return self.request("PUT", url, **call)

    def DELETE(self, url: str, **call: Any) -> requests.Response:
        """Take away."""
        return self.request("DELETE", url, **call)


def accounting_api(
    session: Session, base_url: str, access: Access, judge: Callable[[requests.Response], Exception]
) -> AccountingApi:
    """The SDK's accounting calls over our session, for one connection. Cheap: made anew for each use."""
    # Loaded at the first use: 20 MB and a third of a second that installations without Xero need not pay.
    from xero_python.accounting import AccountingApi
    from xero_python.api_client import ApiClient
    from xero_python.api_client.configuration import Configuration

    configuration = Configuration()
    configuration.oauth2_token = _NoToken()
    client = ApiClient(configuration)
    client.rest_client = RestClient(session, access, judge)
    return AccountingApi(client, base_url=base_url)
