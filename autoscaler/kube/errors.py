"""Errors of the Kubernetes API: every failed call becomes one `KubeError` that says what was asked and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import urllib3.exceptions

from autoscaler.errors import HeadstartError, one_line

# A server that asks for a longer pause is asked again after this one: an hour of silence is worse than a refused call.
RETRY_AFTER_S_MAX = 300.0


class KubeFailure(StrEnum):
    """Why a call failed: stable names for reasons, counters and decisions on what to do next."""

    NOT_FOUND = "NotFound"
    CONFLICT = "Conflict"
    GONE = "Gone"
    INVALID = "Invalid"
    THROTTLED = "Throttled"
    FORBIDDEN = "Forbidden"
    UNAUTHORIZED = "Unauthorized"
    SERVER_ERROR = "ServerError"
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"


_BY_STATUS = {
    401: KubeFailure.UNAUTHORIZED,
    403: KubeFailure.FORBIDDEN,
    404: KubeFailure.NOT_FOUND,
    409: KubeFailure.CONFLICT,
    410: KubeFailure.GONE,
    429: KubeFailure.THROTTLED,
    504: KubeFailure.TIMEOUT,
}

_WRITES = frozenset(("create", "update", "patch"))
# A gateway that lost the server after it had asked it, and a server that ran out of time.
_LOST = frozenset((502, 504))

_WHAT_TO_DO = {
    KubeFailure.NOT_FOUND: "check that it exists",
    KubeFailure.CONFLICT: "it changed meanwhile; it is read again",
    KubeFailure.GONE: "the version is too old; it is listed again",
    KubeFailure.INVALID: "the API server refused the object; correct what it names",
    KubeFailure.THROTTLED: "the API server is busy; it is asked again later",
    KubeFailure.UNAUTHORIZED: "check the token or the client certificate",
    KubeFailure.SERVER_ERROR: "see the API server's log; it is asked again later",
    KubeFailure.UNREACHABLE: "check the server's address, the network and its certificate; it is asked again later",
    KubeFailure.TIMEOUT: "the API server is slow or hangs; it is asked again later",
}
# The API server answers 403 to whatever is to be created in a namespace that is being deleted.
_TERMINATING = "NamespaceTerminating"
_NAMESPACE_GOES = "the namespace is being deleted, and all in it; nothing is to be done"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as RBAC sees it, for messages: 'patch deployments.apps/scale team/llm'.

    Attributes:
        verb: get, list, watch, create, update, patch.
        resource: plural, '.group' unless core, '/subresource' if any.
        namespace, name: '' where the call has none.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return " ".join(part for part in (self.verb, self.resource, where) if part)


class KubeError(HeadstartError):
    """A call to the API server that failed.

    Attributes:
        kind: why.
        retry_after_s: how long the server asks to wait, 0 where it doesn't say.
        may_be_done: whether a write may have been carried out all the same: it was sent, and its answer was lost.
    """

    def __init__(
        self, message: str, *, kind: KubeFailure, retry_after_s: float = 0.0, may_be_done: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.may_be_done = may_be_done


def error_of_status(
    call: Call, *, status: int, body: bytes, headers: Mapping[str, str], now: datetime | None = None
) -> KubeError:
    """The error of an answer that isn't 2xx. `body` is a Kubernetes Status, or whatever a proxy put in its place."""
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = KubeFailure.SERVER_ERROR if status >= 500 else KubeFailure.INVALID
    answer = _status_object(body)
    details = answer.get("details")
    asked_s = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    after_s = _retry_after_s(headers.get("Retry-After"), asked_s, now=now or datetime.now(UTC))
    said = answer.get("message")
    reason = one_line(said) if isinstance(said, str) and said else f"HTTP {status}"
    lost = status in _LOST and call.verb in _WRITES
    to_do = _NAMESPACE_GOES if _namespace_goes(details) else _what_to_do(call, kind)
    return KubeError(
        f"{call}: {status} {kind}: {reason}{_unknown(lost)}; {to_do}",
        kind=kind,
        retry_after_s=after_s,
        may_be_done=lost,
    )


def error_of_exception(call: Call, cause: Exception) -> KubeError:
    """The error of a call that got no answer: refused, reset, timed out, TLS, credentials that can't be read."""
    if isinstance(cause, urllib3.exceptions.TimeoutError) and not isinstance(
        cause, urllib3.exceptions.NewConnectionError
    ):
        kind = KubeFailure.TIMEOUT
    else:
        kind = KubeFailure.UNREACHABLE
    # The reason inside says 'connection refused'; the outer text repeats the address of an object in memory.
    said = str(getattr(cause, "reason", None) or cause) or type(cause).__name__
    # Of others nothing was sent: no connection, no certificate.
    lost = call.verb in _WRITES and isinstance(
        cause, urllib3.exceptions.ReadTimeoutError | urllib3.exceptions.ProtocolError
    )
    message = f"{call}: {kind}: {one_line(said)}{_unknown(lost)}; {_what_to_do(call, kind)}"
    return KubeError(message, kind=kind, may_be_done=lost)


def _unknown(lost: bool) -> str:
    return "; whether it was carried out isn't known" if lost else ""


def _what_to_do(call: Call, kind: KubeFailure) -> str:
    if kind is KubeFailure.FORBIDDEN:
        where = f" in namespace {call.namespace}" if call.namespace else ""
        return f"grant the service account the verb {call.verb!r} on {call.resource!r}{where}"
    if kind is KubeFailure.NOT_FOUND and not call.name and call.resource.endswith(".headstart.dev"):
        return "install its definition (headstart crd | kubectl apply -f -), or give objects by --config"
    return _WHAT_TO_DO[kind]


def _namespace_goes(details: object) -> bool:
    """Whether the details of a Status name that as the cause."""
    causes = details.get("causes") if isinstance(details, dict) else None
    return isinstance(causes, list) and any(
        isinstance(cause, dict) and cause.get("reason") == _TERMINATING for cause in causes
    )


def _status_object(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _retry_after_s(header: str | None, details_s: object, *, now: datetime) -> float:
    """Seconds of a Retry-After header (a number or an HTTP date), else of the Status's details, within 0 to 300."""
    asked_s = 0.0
    if header:
        try:
            asked_s = float(header)
        except ValueError:
            try:
                asked_s = (parsedate_to_datetime(header) - now).total_seconds()
            except (ValueError, TypeError):
                asked_s = 0.0
    elif isinstance(details_s, int | float):
        asked_s = float(details_s)
    # A NaN compares false with everything, so it becomes 0 too.
    return min(asked_s, RETRY_AFTER_S_MAX) if asked_s > 0.0 else 0.0
