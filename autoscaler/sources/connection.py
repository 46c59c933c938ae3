"""How to reach a Prometheus server: address, credentials, certificates, headers; checked before the first query."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from autoscaler.certificates import check_authorities, check_own
from autoscaler.errors import UsageError, shown

_ALLOWED_OPTION = "--prometheus-allowed-server"
TIMEOUT_S = 10.0
_TIMEOUT_S_MAX = 600.0
_PORTS = {"http": 80, "https": 443}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A server that answers Prometheus' queries, and what it asks of its clients.

    Secrets stay in their files, which are read for each request: a rotated token is used at once. What may hold a
    secret is not part of `repr`.

    Attributes:
        url: http or https address, with a path where the API is below one; may hold 'user:password@'.
        timeout_s: the longest that one query may take.
        token_file: holds a bearer token.
        user: for basic authentication, with `password_file`.
        ca_file: certificates to trust instead of the system's.
        client_cert: PEM certificate for mutual TLS; `client_key` where the key isn't in the same file.
        headers: sent with each query, such as X-Scope-OrgID.
        allowed_servers: addresses whose scheme, host and port objects may name; none allows all that aren't link-local.
        named_by_object: whether an object or a trigger named the server, and not the operator.

    Raises:
        UsageError: one line that names the option and the file.
    """

    url: str = field(repr=False)
    timeout_s: float = TIMEOUT_S
    token_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    headers: Headers = field(default=(), repr=False)
    allowed_servers: tuple[str, ...] = ()
    named_by_object: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't work."""
        _check_url(self.url, "--prometheus")
        if not 0 < self.timeout_s <= _TIMEOUT_S_MAX:
            raise UsageError(
                f"--prometheus-timeout: {self.timeout_s:g} s is out of range; it must be above 0 and at most 600 s"
            )
        _check_headers(self.headers, "--prometheus-header")
        for allowed in self.allowed_servers:
            _check_url(allowed, _ALLOWED_OPTION)
            if urlsplit(allowed).path.strip("/"):
                raise UsageError(f"{_ALLOWED_OPTION}: {shown_url(allowed)} has a path; give scheme, host and port only")
        self._check_credentials()
        self._check_certificates()

    @property
    def base_url(self) -> str:
        """The address without credentials and trailing slash; safe to show."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme.lower(), _host(parts), parts.path.rstrip("/"), "", ""))

    @property
    def basic_auth(self) -> tuple[str, str] | None:
        """User and password, read now; None where there are none. OSError where the file can't be read."""
        if self.user is not None and self.password_file is not None:
            return self.user, _read_secret(self.password_file)
        parts = urlsplit(self.url)
        return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    @property
    def bearer_token(self) -> str | None:
        """The token, read now; None where there is none. OSError where the file can't be read."""
        return None if self.token_file is None else _read_secret(self.token_file)

    def elsewhere(self, url: str, headers: Headers) -> Self:
        """The connection of a query that names its own server and headers.

        Whoever writes a PredictiveAutoscaler chooses that server: it gets this connection's credentials and headers
        only where scheme, host and port are the same.

        Raises:
            UsageError: the address or a header can't be used, or the server isn't allowed.
        """
        if url:
            _check_url(url, "spec.prometheus.serverAddress")
        _check_headers(headers, "spec.prometheus.headers")
        if not url or _origin(url) == _origin(self.url):
            own = {name.lower(): (name, value) for name, value in (*self.headers, *headers)}
            return replace(self, url=self._with_userinfo(url) if url else self.url, headers=tuple(own.values()))
        if self.allowed_servers and _origin(url) not in map(_origin, self.allowed_servers):
            raise UsageError(
                f"spec.prometheus.serverAddress: {shown_url(url)} is none of the servers that {_ALLOWED_OPTION} allows;"
                " name one of those, or leave it out"
            )
        return type(self)(
            url=url, timeout_s=self.timeout_s, ca_file=self.ca_file, headers=headers, named_by_object=True
        )

    def _with_userinfo(self, url: str) -> str:
        """`url`, with this connection's user and password where it has none and they are in the address."""
        own, other = urlsplit(self.url), urlsplit(url)
        if not own.username or other.username:
            return url
        return urlunsplit(other._replace(netloc=f"{own.netloc.rpartition('@')[0]}@{other.netloc}"))

    def _check_credentials(self) -> None:
        in_url = urlsplit(self.url).username
        ways = {
            "--prometheus-token-file": self.token_file,
            "--prometheus-user": self.user,
            "a user in --prometheus": in_url,
            "an Authorization header": any(name.lower() == "authorization" for name, _ in self.headers) or None,
        }
        given = [way for way, value in ways.items() if value]
        if len(given) > 1:
            raise UsageError(f"{given[0]} and {given[1]} exclude each other; give one")
        if (self.user is None) != (self.password_file is None):
            missing = "--prometheus-user" if self.user is None else "--prometheus-password-file"
            raise UsageError(f"{missing}: is missing; basic authentication needs a user and a file with the password")
        for option, path in (
            ("--prometheus-token-file", self.token_file),
            ("--prometheus-password-file", self.password_file),
        ):
            if path is not None:
                _check_secret(option, path)

    def _check_certificates(self) -> None:
        if self.client_key is not None and self.client_cert is None:
            raise UsageError("--prometheus-client-cert: is missing; --prometheus-client-key belongs to a certificate")
        if self.ca_file is not None:
            check_authorities(self.ca_file, option="--prometheus-ca-file")
        if self.client_cert is not None:
            check_own(self.client_cert, self.client_key, options="--prometheus-client")


def shown_url(url: str) -> str:
    """`url` without what may be secret: user, password and parameters."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, _host(parts), parts.path, "", ""))
    except ValueError:
        return "an address that can't be parsed"


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.hostname, parts.port or _PORTS[parts.scheme.lower()]


def _check_url(url: str, option: str) -> None:
    allowed = "give the server's address, such as http://prometheus.monitoring:9090"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"{option}: {shown_url(url)} is no address; {allowed}") from None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or port == 0 or re.search(r"[\s\x00-\x1f]", url):
        raise UsageError(f"{option}: '{shown_url(url)}' is no http or https address; {allowed}")
    if parts.query or parts.fragment:
        raise UsageError(f"{option}: {shown_url(url)} must have no parameters ('?' or '#'); {allowed}")
    if parts.path.rstrip("/").endswith(("/api/v1", "/api/v1/query", "/api/v1/query_range")):
        raise UsageError(f"{option}: {shown_url(url)}: leave out '/api/v1'; it is added to the address")


def _check_headers(headers: Headers, option: str) -> None:
    for name, value in headers:
        # The value may be a secret: it is not shown.
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"{option}: {shown(name)} is no name of a header; write it as X-Scope-OrgID=team-a")
        if not value.isprintable() or not value.isascii():
            raise UsageError(f"{option}: the value of {name} must be printable ASCII")


def _check_secret(option: str, path: Path) -> None:
    try:
        _read_secret(path)
    except OSError as error:
        raise UsageError(f"{option}: {path}: {error.strerror or error}") from error


def _read_secret(path: Path) -> str:
    """The file's text without white space around. OSError where it can't be read, or holds none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise OSError("is not ASCII text") from None
    if not text or not text.isprintable():
        raise OSError("must hold one line of text")
    return text
