"""Certificates for the programs of the tests, signed by authorities of the tests' own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate and its private key are, both PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in `folder`, its own certificate in ca.crt; everything is valid for a day."""

    def __init__(self, openssl: Path, folder: Path, *, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._openssl = openssl
        self._own = Certificate(folder / "ca.crt", folder / "ca.key")
        self._request(self._own, name, [])

    @property
    def certificate(self) -> Path:
        """The authority's own certificate: who trusts it trusts all that it has issued."""
        return self._own.certificate

    def issue(self, name: str, *, subject: str, hosts: str = "") -> Certificate:
        """A certificate `name`.crt and its key for the subject's common name.

        `hosts` are the names that a server has, as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
        """
        issued = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        options: list[str | Path] = ["-CA", self._own.certificate, "-CAkey", self._own.key]
        options += ["-addext", "basicConstraints=critical,CA:FALSE"]
        if hosts:
            options += ["-addext", f"subjectAltName={hosts}"]
        self._request(issued, subject, options)
        return issued

    def _request(self, made: Certificate, subject: str, options: list[str | Path]) -> None:
        command = [self._openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "1", "-subj", f"/CN={subject}", "-keyout", made.key, "-out", made.certificate]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError(f"openssl makes no certificate for {subject}: {done.stderr[-500:]}")
