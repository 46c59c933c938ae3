"""What went wrong with a query, in one line: what failed, where, and what to do.

Whoever writes an object or a trigger chooses the server, and reads these lines in a status or in KEDA's log. So a
server is quoted only where it answered as Prometheus does: any other text might be a secret that it keeps for its own
clients.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from http.client import HTTPException

import requests
import urllib3

from autoscaler.errors import one_line
from autoscaler.sources.ranges import Failure, SourceError

CONNECT_TIMEOUT_S = 5.0
_QUERY_MAX = 80
_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")


class SecretError(OSError):
    """A file with a secret can't be read now, though it could at start."""


def refused(response: requests.Response, place: str, query: str) -> SourceError:
    """The server at `place` answered with an error."""
    status = response.status_code
    kind, text = _kind_and_text(response)
    text = text or f"the answer is {_media_type(response)} and not Prometheus' JSON"
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
        failure, what = Failure.SERVER_ERROR, text
    return SourceError(failure, f"{where}: {what}")


def unreadable(response: requests.Response, place: str, query: str) -> SourceError:
    """The server at `place` answered with what is no answer to a range query."""
    return SourceError(
        Failure.BAD_ANSWER,
        f"{place}: HTTP {response.status_code}: the answer to {short(query)} is {_media_type(response)} and not"
        " Prometheus' JSON; check the address",
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
        failure, what = Failure.BAD_ANSWER, "redirects elsewhere; give the address that answers, or credentials"
    elif isinstance(error, SecretError):
        return SourceError(Failure.UNAUTHORIZED, str(error))
    elif isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        failure, what = Failure.BAD_ANSWER, "the answer's compression is broken"
    elif isinstance(error, urllib3.exceptions.ProtocolError):
        failure, what = Failure.BAD_ANSWER, "the answer was cut off"
    elif _is_no_http(reason_of(error)):
        failure, what = Failure.BAD_ANSWER, "what listens there doesn't speak HTTP; check the address"
    else:
        failure, what = Failure.UNREACHABLE, f"can't be reached: {_plain(reason_of(error))}"
    return SourceError(failure, f"{place}: {what}")


def reason_of(error: BaseException) -> BaseException:
    """What requests and urllib3 wrapped: a lost connection as ProtocolError, else the innermost error."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return inner if isinstance(inner, urllib3.exceptions.ProtocolError) else reason_of(inner)
    return error


def _is_no_http(reason: BaseException) -> bool:
    """Whether the server's first line isn't one of HTTP; a server that closes the connection says nothing."""
    return any(isinstance(inner, HTTPException) and not isinstance(inner, OSError) for inner in reason.args)


def _plain(reason: BaseException) -> str:
    """Without what urllib3 has before it, the name of a Python object, and without the numbers of errors."""
    return re.sub(r"^\w+\(host=[^)]*\): |\[Errno -?\d+\] ", "", one_line(str(reason)))


def short(query: str) -> str:
    """A query in a message: its start, in quotes."""
    text = one_line(query)
    return f"'{text}'" if len(text) <= _QUERY_MAX else f"'{text[: _QUERY_MAX - 3]}...'"


def _kind_and_text(response: requests.Response) -> tuple[str, str]:
    """Prometheus' `errorType` and `error`; '' and '' where it is none of its answers."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(answer, dict) or answer.get("status") != "error":
        return "", ""
    kind, text = answer.get("errorType"), answer.get("error")
    return (kind, one_line(text)) if isinstance(kind, str) and isinstance(text, str) else ("", "")


def _media_type(response: requests.Response) -> str:
    """The main part of the answer's Content-Type."""
    stated = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return stated if _MEDIA_TYPE.fullmatch(stated) else "of no type"
