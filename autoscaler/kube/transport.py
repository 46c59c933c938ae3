"""Requests to the API server by the Kubernetes client's own connection pool: JSON in, JSON out, no models.

Models would cost about 1 ms a pod; 10,000 pods are listed at every start. A request always has a timeout, is sent once
(the pool's own three silent retries would triple every timeout), and fails with `KubeError` only.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import urllib3.exceptions
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from autoscaler.kube.errors import Call, KubeError, KubeFailure, error_of_exception, error_of_status

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

Query = Sequence[tuple[str, str]]


class Transport:
    """Sends requests with the client's address, certificates and tokens. Safe to share among threads."""

    def __init__(self, client: ApiClient, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._client = client
        self._read_timeout_s = read_timeout_s
        # Renewing a token rewrites the client's configuration, or runs a plugin: one thread at a time.
        self._credentials = threading.Lock()

    def request(  # noqa: D417 - the rest is named for what it is
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: dict[str, Any] | None = None,
        content_type: str = JSON,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """The JSON object that the server answers with.

        Args:
            timeout_s: of the connection and of reading, each, where it is shorter than usual.

        Raises:
            KubeError: it failed, or the answer isn't a JSON object.
        """
        response = self._send(call, method, path, query=query, body=body, content_type=content_type, read_s=timeout_s)
        try:
            answer = json.loads(response.data)
        except ValueError as problem:
            raise KubeError(
                f"{call}: the answer is not JSON; check that the address is an API server's",
                kind=KubeFailure.SERVER_ERROR,
            ) from problem
        except (urllib3.exceptions.HTTPError, OSError) as problem:
            raise error_of_exception(call, problem) from problem
        if not isinstance(answer, dict):
            raise KubeError(f"{call}: the answer is not an object", kind=KubeFailure.SERVER_ERROR)
        return answer

    def stream(self, call: Call, path: str, *, query: Query, read_timeout_s: float) -> LineStream:
        """The lines of a long answer, as they come. Raises `KubeError` when it can't be opened."""
        return LineStream(call, self._send(call, "GET", path, query=query, read_s=read_timeout_s))

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()  # type: ignore[no-untyped-call] # the client's, without annotations

    def _send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Query,
        body: dict[str, Any] | None = None,
        content_type: str = JSON,
        read_s: float | None,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": JSON}
        if body is not None:
            headers["Content-Type"] = content_type
        read_s = self._read_timeout_s if read_s is None else read_s
        try:
            with self._credentials:
                verb, url, headers, _, _ = self._client.param_serialize(
                    method, path, query_params=list(query), header_params=headers, auth_settings=["BearerToken"]
                )
            answer = self._client.call_api(
                verb, url, headers, body, _request_timeout=(min(CONNECT_TIMEOUT_S, read_s), read_s)
            )
            response: urllib3.BaseHTTPResponse = answer.response
            if not 200 <= response.status <= 299:
                raise error_of_status(call, status=response.status, body=response.data, headers=response.headers)
        except ConfigException as problem:
            raise KubeError(f"{call}: {problem}; check the credentials", kind=KubeFailure.UNAUTHORIZED) from problem
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as problem:
            raise error_of_exception(call, problem) from problem
        return response


class LineStream(Iterator[bytes]):
    """Non-empty lines of an answer that stays open. `close` from another thread ends it at once, without an error."""

    def __init__(self, call: Call, response: urllib3.BaseHTTPResponse) -> None:
        self._call = call
        self._response = response
        self._lines = self._split()
        self._closed = threading.Event()

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        """End the stream; a thread that waits for a line gets StopIteration."""
        self._closed.set()
        # ValueError or RuntimeError: it has ended by itself, and nothing is left to shut down.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()
        try:
            self._lines.close()
        except ValueError:
            # Another thread is reading: it closes the response as it ends.
            return
        self._response.close()

    def _split(self) -> Generator[bytes]:
        rest = bytearray()
        try:
            for chunk in self._response.stream(amt=None, decode_content=True):
                rest += chunk
                *lines, last = rest.split(b"\n")
                rest = last
                yield from (bytes(line) for line in lines if line)
            if rest:
                yield bytes(rest)
        except (urllib3.exceptions.HTTPError, OSError) as problem:
            if not self._closed.is_set():
                raise error_of_exception(self._call, problem) from problem
        finally:
            self._response.close()
