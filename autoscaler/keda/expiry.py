"""When a certificate ends: the one field of it that Python's ssl tells of no certificate of one's own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_LONG = 0x80
_VERSION = 0xA0
_UTC_TIME = 0x17


def expires_s(pem: bytes) -> float:
    """The end of the first certificate of a PEM file that OpenSSL could read, seconds since the epoch.

    RFC 5280, 4.1: Certificate is a sequence of the part that is signed and its signature; that part holds an optional
    version, serial number, algorithm, issuer and validity, which is two times.

    Raises:
        ValueError: it is no such certificate.
    """
    _, begin, rest = pem.decode("ascii", errors="replace").partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    try:
        _, certificate = next(_parts(ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}")))
        _, signed = next(_parts(certificate))
        fields = [content for tag, content in _parts(signed) if tag != _VERSION]
        _, (tag, ends) = _parts(fields[3])
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(ends.decode("ascii"), form).replace(tzinfo=UTC).timestamp()
    except (ValueError, IndexError, StopIteration) as error:
        raise ValueError("no certificate in PEM") from error


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value of a sequence in DER."""
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length >= _LONG:
            size = length - _LONG
            length = int.from_bytes(content[at : at + size])
            at += size
        yield tag, content[at : at + length]
        at += length
