"""Certificates are refused in the same words wherever they are given: only the option's name differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from autoscaler.cli.keda import _check_certificates
from autoscaler.errors import UsageError
from autoscaler.keda.tls import Certificates, TlsFiles
from autoscaler.sources.connection import Connection

Check = Callable[[Path, Path], object]
OWN: dict[str, Check] = {
    "--prometheus-client": lambda cert, key: Connection(url="http://h", client_cert=cert, client_key=key),
    "--client": lambda cert, key: _check_certificates(None, cert, key),
    "--keda-tls": lambda cert, key: Certificates(TlsFiles(cert, key)),
}
AUTHORITIES: dict[str, Callable[[Path], object]] = {
    "--prometheus-ca-file": lambda path: Connection(url="http://h", ca_file=path),
    "--ca-cert": lambda path: _check_certificates(path, None, None),
}


def said(check: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as raised:
        check()
    return str(raised.value)


@pytest.mark.parametrize("options", OWN)
def test_a_certificate_that_is_none_is_refused(options: str, tmp_path: Path) -> None:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    assert said(lambda: OWN[options](cert, key)) == f"{options}-cert: {cert}: can't be read: No such file or directory"
    cert.write_text("noise")
    assert said(lambda: OWN[options](cert, key)) == f"{options}-key: {key}: can't be read: No such file or directory"
    key.write_text("noise")
    line = said(lambda: OWN[options](cert, key))
    assert line.startswith(f"{options}-cert: {cert} with {key}: is no certificate with its key in PEM (")
    assert line.endswith("); give both, the key without a passphrase")
    key.write_bytes(bytes(2 << 20))
    assert said(lambda: OWN[options](cert, key)) == f"{options}-key: {key}: is larger than 1 MiB, and no certificate"


@pytest.mark.parametrize("option", AUTHORITIES)
def test_authorities_that_are_none_are_refused(option: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    assert said(lambda: AUTHORITIES[option](path)) == f"{option}: {path}: can't be read: No such file or directory"
    path.write_text("noise")
    line = said(lambda: AUTHORITIES[option](path))
    assert line.startswith(f"{option}: {path}: holds no certificates in PEM (")
    assert line.endswith("); give those of the authority")
