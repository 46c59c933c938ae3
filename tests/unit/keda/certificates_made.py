"""Certificates for tests, made with openssl."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def openssl(folder: Path, *arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def end_s(folder: Path, name: str) -> float:
    """When a certificate ends, by openssl."""
    told = openssl(folder, "x509", "-in", f"{name}.pem", "-noout", "-enddate")
    return ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter="))


def make_authority(folder: Path, name: str, *, days: int = 3_650) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-days", str(days), "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip


def make_certificate(folder: Path, name: str, authority: str) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "3650", "-extfile", "ext")  # fmt: skip
