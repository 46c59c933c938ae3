"""A DNS server for the tests: one name that has several addresses, as a headless Service has those of its pods."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Sequence

_IPV4 = 1
_INTERNET = 1
# An answer, by who is in charge of the name, to a question that may ask for others' help.
_FLAGS = 0x8580
_HEADER_BYTES = 12


class NameServer:
    """Answers on loopback, by UDP, that any name has these IPv4 addresses and nothing else."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it is asked, a "host:port"."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Answer no more."""
        self._stopping.set()
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                query, client = self._socket.recvfrom(4_096)
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        # A question is a name, which ends with a zero, and two bytes each for type and class.
        question = query[_HEADER_BYTES : query.index(b"\0", _HEADER_BYTES) + 5]
        (kind,) = struct.unpack(">H", question[-4:-2])
        addresses = self._addresses if kind == _IPV4 else ()
        header = query[:2] + struct.pack(">HHHHH", _FLAGS, 1, len(addresses), 0, 0)
        records = [
            struct.pack(">HHHIH", 0xC000 | _HEADER_BYTES, _IPV4, _INTERNET, 0, 4) + socket.inet_aton(each)
            for each in addresses
        ]
        return header + question + b"".join(records)
