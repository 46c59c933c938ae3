"""Certificates from files that are replaced while the server runs, as cert-manager and mounted secrets do."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

from autoscaler.certificates import check_authorities, check_own, read_pem
from autoscaler.errors import UsageError
from autoscaler.keda.expiry import expires_s

_OPTIONS, _CLIENT_CA = "--keda-tls", "--keda-tls-client-ca"

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are, in PEM.

    Attributes:
        cert: the server's certificate, with those between it and its authority.
        key: its private key, without a passphrase.
        client_ca: the authorities of clients' certificates; None takes clients without one.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def by_option(self) -> dict[str, Path]:
        """All that are given, by the options that name them."""
        own = {f"{_OPTIONS}-cert": self.cert, f"{_OPTIONS}-key": self.key}
        return own if self.client_ca is None else own | {_CLIENT_CA: self.client_ca}


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: _Stamp
    configuration: grpc.ServerCertificateConfiguration
    expires_s: float


class Certificates:
    """What the files held when they last fitted together.

    Between the writes of a rotation they may not fit: then the server goes on with what it had, and tries again with
    the next connection, or the next `look`. Thread-safe; `problem` says why the newest aren't used, '' where they are.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read them.

        Raises:
            UsageError: they can't be read, or don't fit together.
        """
        self._files = files
        self._lock = threading.Lock()
        self._loaded = self._given = _load(files, _stamp(files))
        self.problem = ""

    @property
    def expires_s(self) -> float:
        """When the newest that fit together end, seconds since the epoch."""
        return self._loaded.expires_s

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files."""
        return grpc.dynamic_ssl_server_credentials(
            self._given.configuration, self.renewed, require_client_authentication=self._files.client_ca is not None
        )

    def look(self) -> None:
        """Read the files if they have changed, and note a problem; never raises."""
        with self._lock:
            self._look()

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new certificates if there are any; None to go on. Called for each connection; never raises."""
        with self._lock:
            self._look()
            if self._loaded is self._given:
                return None
            self._given = self._loaded
            return self._given.configuration

    def _look(self) -> None:
        try:
            stamp = _stamp(self._files)
            if stamp == self._loaded.stamp:
                self.problem = ""
                return
            loaded = _load(self._files, stamp)
            if _stamp(self._files) != stamp:
                return  # still being written
        except UsageError as error:
            self.problem = str(error)
            return
        self._loaded, self.problem = loaded, ""


def _stamp(files: TlsFiles) -> _Stamp:
    stamps = []
    for option, path in files.by_option.items():
        try:
            found = path.stat()
        except OSError as error:
            raise UsageError(f"{option}: {path}: can't be read: {error.strerror}") from error
        stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return tuple(stamps)


def _load(files: TlsFiles, stamp: _Stamp) -> _Loaded:
    cert, key, *authorities = [read_pem(path, option=option) for option, path in files.by_option.items()]
    check_own(files.cert, files.key, options=_OPTIONS)
    if files.client_ca is not None:
        check_authorities(files.client_ca, option=_CLIENT_CA)
    try:
        ends_s = expires_s(cert)
    except ValueError as error:
        raise UsageError(f"{_OPTIONS}-cert: {files.cert}: holds {error}") from error
    configuration = grpc.ssl_server_certificate_configuration([(key, cert)], authorities[0] if authorities else None)
    return _Loaded(stamp, configuration, ends_s)
