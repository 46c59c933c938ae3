"""Certificates from files that are replaced while the server runs, as cert-manager and mounted secrets do."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

from autoscaler.errors import UsageError

_FILE_BYTES_MAX = 1 << 20

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
    def paths(self) -> tuple[Path, ...]:
        """All that are given."""
        return (self.cert, self.key) if self.client_ca is None else (self.cert, self.key, self.client_ca)


class Certificates:
    """What the files held when they last fitted together.

    Between the writes of a rotation they may not fit: then the server goes on with what it had, and tries again with
    the next connection. Thread-safe; `problem` says why the newest aren't used, '' where they are.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read them.

        Raises:
            UsageError: they can't be read, or don't fit together.
        """
        self._files = files
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self._configuration = _configuration(files)
        self.problem = ""

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self.renewed, require_client_authentication=self._files.client_ca is not None
        )

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new certificates if the files have changed; None to go on. Called for each connection; never raises."""
        with self._lock:
            try:
                stamp = _stamp(self._files)
                if stamp == self._stamp:
                    return None
                configuration = _configuration(self._files)
                if _stamp(self._files) != stamp:
                    return None  # still being written
            except UsageError as error:
                self.problem = str(error)
                return None
            self._stamp, self._configuration, self.problem = stamp, configuration, ""
            return configuration


def _stamp(files: TlsFiles) -> _Stamp:
    stamps = []
    for path in files.paths:
        try:
            found = path.stat()
        except OSError as error:
            raise UsageError(f"{path}: can't be read: {error.strerror}") from error
        stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return tuple(stamps)


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    cert, key, *authorities = [_read(path) for path in files.paths]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # '' as the passphrase: an encrypted key is an error here, not a question on the terminal.
        context.load_cert_chain(files.cert, files.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"{files.cert}, {files.key}: are no certificate and its key in PEM ({_why(error)})") from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"{files.client_ca}: holds no certificates in PEM ({_why(error)})") from error
    return grpc.ssl_server_certificate_configuration([(key, cert)], authorities[0] if authorities else None)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            content = opened.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > _FILE_BYTES_MAX:
        raise UsageError(f"{path}: is larger than {_FILE_BYTES_MAX >> 20} MiB, and no certificate")
    return content


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
