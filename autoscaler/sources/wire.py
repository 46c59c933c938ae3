"""One HTTP connection to a Prometheus server, for one thread at a time: a range query out, its series back."""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util.retry import Retry

from autoscaler.errors import one_line
from autoscaler.sources.chunks import Grid
from autoscaler.sources.connection import Connection
from autoscaler.sources.failures import (
    CONNECT_TIMEOUT_S,
    SecretError,
    reason_of,
    refused,
    short,
    unanswered,
    unreadable,
)
from autoscaler.sources.link_local import CheckedAdapter
from autoscaler.sources.ranges import Failure, SourceError

# 500,000 samples, the most that is asked for at once, are below 20 MB. Far more is a query that doesn't aggregate.
_BODY_BYTES_MAX = 64 << 20
_READ_BYTES = 1 << 16
_INFO = "PromQL info:"
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered.

    Attributes:
        series: as in the JSON, unchecked.
        warnings: each means that values are partial or doubtful. Mere remarks ('PromQL info') are left out.
        behind_s: how far this machine's clock is behind the server's; NaN where the server doesn't say.
    """

    series: list[Any]
    warnings: tuple[str, ...]
    behind_s: float


class Wire:
    """A session of its own: `requests` doesn't promise that threads may share one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shown = connection.base_url
        self._deadline = 0.0
        self._body = b""
        self._response: requests.Response | None = None
        session = requests.Session()
        # A redirect would carry headers such as X-Scope-OrgID to wherever it leads, and costs a round trip each time.
        session.max_redirects = 0
        session.verify = True if connection.ca_file is None else str(connection.ca_file)
        if connection.client_cert is not None:
            key = connection.client_key
            session.cert = str(connection.client_cert) if key is None else (str(connection.client_cert), str(key))
        session.hooks["response"].append(self._keep)
        # The client's own default retries for 6 s; `read=False` keeps a read timeout apart from a lost connection.
        retry = Retry(0, read=False)
        self._client = PrometheusConnect(
            url=self._shown,
            headers=dict(connection.headers),
            retry=retry,
            auth=_Credentials(connection),
            session=session,
        )
        if connection.named_by_object:
            # In the place of the client's own.
            session.mount(self._shown, CheckedAdapter(max_retries=retry))

    def query_range(self, query: str, grid: Grid, deadline: float) -> Reply:
        """Evaluate `query` on `grid`, whose points are not too many, before `deadline` (time.monotonic()).

        Raises:
            SourceError: there is no usable answer.
        """
        try:
            try:
                return self._query_range(query, grid, deadline)
            except requests.ConnectionError as error:
                # A server or proxy closes an idle connection just as it is used again: it answered nothing, once more.
                if not isinstance(reason_of(error), urllib3.exceptions.ProtocolError):
                    raise
                return self._query_range(query, grid, deadline)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise unanswered(error, self._shown, self._connection.timeout_s) from error
        finally:
            # Up to 64 MiB that an idle connection has no use for.
            self._response, self._body = None, b""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _query_range(self, query: str, grid: Grid, deadline: float) -> Reply:
        left_s = min(self._connection.timeout_s, deadline - time.monotonic())
        if left_s <= 0:
            raise SourceError(Failure.TIMEOUT, f"{self._shown}: no time was left for the query {short(query)}")
        self._deadline = time.monotonic() + left_s
        self._response = None
        exact = {
            # The client rounds its own times to whole seconds; these replace them.
            "start": _seconds(grid.start_ms),
            "end": _seconds(grid.stop_ms),
            "timeout": f"{max(1, round(left_s * 1000))}ms",
        }
        try:
            series = self._client.custom_query_range(
                query,
                start_time=_EPOCH,
                end_time=_EPOCH,
                step=_seconds(grid.step_ms),
                params=exact,
                timeout=(min(CONNECT_TIMEOUT_S, left_s), left_s),
            )
        except PrometheusApiClientException:
            raise refused(self._answer(), self._shown, query) from None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if self._response is None:
                # Nothing was sent: requests' errors about an address are ValueErrors too.
                raise unanswered(error, self._shown, self._connection.timeout_s) from error
            raise unreadable(self._response, self._shown, query) from error
        if not isinstance(series, list):
            raise unreadable(self._answer(), self._shown, query)
        return Reply(series, self._warnings(), self._behind_s())

    def _keep(self, response: requests.Response, **_: Any) -> None:
        """Read the body, within the deadline and a size; the client would read it without limits and discard its notes.

        It is a hook of the session, called before the client sees the response.
        """
        body = io.BytesIO()
        while chunk := response.raw.read1(_READ_BYTES, decode_content=True):
            body.write(chunk)
            if body.tell() > _BODY_BYTES_MAX:
                response.raw.close()
                raise SourceError(
                    Failure.TOO_MANY_SERIES,
                    f"{self._shown}: the answer is larger than {_BODY_BYTES_MAX >> 20} MiB;"
                    " aggregate the query to one series, such as sum(...)",
                )
            if time.monotonic() > self._deadline:
                response.raw.close()
                raise requests.ReadTimeout("the answer took too long to arrive")
        response.raw.release_conn()
        self._body = body.getvalue()
        response.raw = io.BytesIO(self._body)
        self._response = response

    def _answer(self) -> requests.Response:
        assert self._response is not None, "the server has answered"
        return self._response

    def _warnings(self) -> tuple[str, ...]:
        """The answer's warnings. Parsed a second time only where there may be some: most answers have none."""
        if b'"warnings"' not in self._body and b'"isPartial"' not in self._body:
            return ()
        answer = self._answer().json()
        found = answer.get("warnings") or []
        texts = [one_line(str(text)) for text in (found if isinstance(found, list) else [found])]
        if answer.get("isPartial"):
            # VictoriaMetrics' way to say that some of its storage didn't answer.
            texts.append("the response is partial")
        return tuple(text for text in texts if not text.startswith(_INFO))

    def _behind_s(self) -> float:
        """How far this machine's clock is behind the answer's; a cache leaves the date, and says for how long."""
        headers = self._answer().headers
        try:
            sent_s = parsedate_to_datetime(headers["Date"]).timestamp()
            return sent_s + float(headers.get("Age", 0)) - time.time()
        except (KeyError, ValueError, OverflowError):
            return math.nan


class _Credentials(AuthBase):
    """Sets the Authorization header from files read anew, and keeps requests from looking into ~/.netrc."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            token, pair = self._connection.bearer_token, self._connection.basic_auth
        except OSError as error:
            path = self._connection.token_file or self._connection.password_file
            raise SecretError(f"{path}: {error.strerror or error}") from error
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        elif pair is not None:
            request = HTTPBasicAuth(*pair)(request)
        return request


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
