"""Connections to servers that an object or a trigger names: none to where a cloud keeps a machine's own credentials."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from autoscaler.sources.ranges import Failure, SourceError

_REFUSED = (
    ip_network("169.254.0.0/16"),
    ip_network("fe80::/10"),
    # Metadata of AWS by IPv6, and of Alibaba, which aren't link-local.
    ip_network("fd00:ec2::254/128"),
    ip_network("100.100.100.200/32"),
)


class CheckedAdapter(HTTPAdapter):
    """Sends requests to addresses that aren't refused. Where a proxy is set, names are resolved by it, unchecked."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As HTTPAdapter, with connections that look at the address."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As HTTPAdapter. Raises SourceError for an address that is refused."""
        host = urlsplit(str(request.url)).hostname or ""
        _refuse(host, host)
        return super().send(request, *args, **kwargs)


class _Http(HTTPConnection):
    def connect(self) -> None:
        _refuse_resolved(self)
        super().connect()
        _refuse_connected(self)


class _Https(HTTPSConnection):
    def connect(self) -> None:
        _refuse_resolved(self)
        super().connect()
        _refuse_connected(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


def _refuse_resolved(connection: HTTPConnection) -> None:
    """Before a packet is sent; a name that can't be resolved is left to the connection, which tells it."""
    with contextlib.suppress(OSError, UnicodeError):
        for *_, address in socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM):
            _refuse(connection.host, str(address[0]))


def _refuse_connected(connection: HTTPConnection) -> None:
    """Before a request is sent: the name was resolved once more, and may have got another answer."""
    if connection.sock is not None:
        _refuse(connection.host, str(connection.sock.getpeername()[0]))


def _refuse(host: str, address: str) -> None:
    """Raise SourceError where `address`, which `host` has, is refused; a name is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return
    found = getattr(found, "ipv4_mapped", None) or found
    if any(found in network for network in _REFUSED):
        raise SourceError(
            Failure.UNREACHABLE,
            f"spec.prometheus.serverAddress: {host} is link-local, {address}, where clouds keep a machine's"
            " credentials; no object or trigger may name it: give a Prometheus server",
        )
