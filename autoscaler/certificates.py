"""Certificates and keys in PEM files: whether they can be used, said in the same words wherever they are given."""

from __future__ import annotations

import ssl
from pathlib import Path

from autoscaler.errors import UsageError
from autoscaler.read_limited import read_limited


def read_pem(path: Path, *, option: str) -> bytes:
    """What the file holds. Raises UsageError where it can't be read, or is too large to be meant."""
    return read_limited(path, mib=1, beyond=", and no certificate", option=option)


def check_authorities(path: Path, *, option: str) -> None:
    """Raise UsageError where the file has no certificates to trust."""
    read_pem(path, option=option)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        said = f"holds no certificates in PEM ({_why(error)}); give those of the authority"
        raise UsageError(f"{option}: {path}: {said}") from error


def check_own(cert: Path, key: Path | None, *, options: str) -> None:
    """Raise UsageError where the files are no certificate and its key; their options are `options`-cert and -key.

    Args:
        cert: one's own certificate, with those between it and its authority.
        key: its private key; None where that is in the same file.
        options: how both options begin.
    """
    read_pem(cert, option=f"{options}-cert")
    if key is not None:
        read_pem(key, option=f"{options}-key")
    try:
        # An empty passphrase: a key that has one is refused here, instead of asked about at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password="")
    except OSError as error:
        files = f"{cert}" if key is None else f"{cert} with {key}"
        said = f"is no certificate with its key in PEM ({_why(error)}); give both, the key without a passphrase"
        raise UsageError(f"{options}-cert: {files}: {said}") from error


def _why(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error)
