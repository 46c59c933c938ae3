"""What went wrong with a query, in one line: what failed, where, and what to do."""

from __future__ import annotations

import re
from http import HTTPStatus

import requests
import urllib3

from autoscaler.errors import one_line
from autoscaler.sources.connection import shown_url
from autoscaler.sources.ranges import Failure, SourceError

CONNECT_TIMEOUT_S = 5.0
_QUERY_MAX = 80


class SecretError(OSError):
    """A file with a secret can't be read now, though it could at start."""


def refused(response: requests.Response, place: str, query: str) -> SourceError:
    """The server at `place` answered with an error."""
    status = response.status_code
    kind, text = _kind_and_text(response)
    where = f"{place}: HTTP {status}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        failure, what = Failure.UNAUTHORIZED, "the credentials are missing or not enough; check token, user and headers"
    elif kind == "timeout":
        failure, what = Failure.TIMEOUT, f"the query {short(query)} took too long: {text}"
    elif status == HTTPStatus.REQUEST_URI_TOO_LONG:
        failure, what = Failure.BAD_QUERY, f"the query {short(query)} is too long; make it a recording rule"
    elif kind in {"bad_data", "execution"} or status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        failure, what = Failure.BAD_QUERY, f"the query {short(query)} was refused: {text}"
    elif status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        failure, what = Failure.BAD_ANSWER, "there is no Prometheus API at this address; check its path"
    else:
        failure, what = Failure.SERVER_ERROR, text or "the server failed"
    return SourceError(failure, f"{where}: {what}")


def unreadable(body: bytes, place: str, query: str) -> SourceError:
    """The server at `place` answered with what is no answer to a range query."""
    start = one_line(body[:_QUERY_MAX].decode("utf-8", "replace"))
    return SourceError(
        Failure.BAD_ANSWER,
        f"{place}: the answer to {short(query)} is not Prometheus' JSON: {start!r}; check the address",
    )


def unanswered(error: Exception, place: str, timeout_s: float) -> SourceError:
    """There was no answer, or none that HTTP could carry."""
    if isinstance(error, requests.ConnectTimeout):
        failure, what = Failure.UNREACHABLE, f"no connection within {min(CONNECT_TIMEOUT_S, timeout_s):g} s"
    elif isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        failure, what = Failure.TIMEOUT, f"no answer in time; --prometheus-timeout is {timeout_s:g} s"
    elif isinstance(error, requests.exceptions.SSLError):
        failure = Failure.UNREACHABLE
        what = f"TLS failed: {one_line(str(reason_of(error)))}; see --prometheus-ca-file and --prometheus-client-cert"
    elif isinstance(error, requests.TooManyRedirects):
        to = "" if error.response is None else shown_url(error.response.headers.get("Location", ""))
        failure, what = Failure.BAD_ANSWER, f"redirects to {to}; give the address that answers, or credentials"
    elif isinstance(error, SecretError):
        return SourceError(Failure.UNAUTHORIZED, str(error))
    elif isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        failure, what = Failure.BAD_ANSWER, "the answer's compression is broken"
    elif isinstance(error, urllib3.exceptions.ProtocolError):
        failure, what = Failure.BAD_ANSWER, f"the answer was cut off: {one_line(str(error))}"
    else:
        failure, what = Failure.UNREACHABLE, f"can't be reached: {_plain(reason_of(error))}"
    return SourceError(failure, f"{place}: {what}")


def reason_of(error: BaseException) -> BaseException:
    """What requests and urllib3 wrapped: a lost connection as ProtocolError, else the innermost error."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return inner if isinstance(inner, urllib3.exceptions.ProtocolError) else reason_of(inner)
    return error


def _plain(reason: BaseException) -> str:
    """Without what urllib3 has before it, the name of a Python object, and without the numbers of errors."""
    return re.sub(r"^HTTPS?Connection\([^)]*\): |\[Errno -?\d+\] ", "", one_line(str(reason)))


def short(query: str) -> str:
    """A query in a message: its start, in quotes."""
    text = one_line(query)
    return f"'{text}'" if len(text) <= _QUERY_MAX else f"'{text[: _QUERY_MAX - 3]}...'"


def _kind_and_text(response: requests.Response) -> tuple[str, str]:
    """Prometheus' `errorType` and `error`; the start of the text where it is none of its answers."""
    try:
        answer = response.json()
        return str(answer.get("errorType", "")), one_line(str(answer.get("error", "")))
    except (ValueError, AttributeError, RecursionError):
        return "", one_line(response.text)
