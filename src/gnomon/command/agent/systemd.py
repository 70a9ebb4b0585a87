"""What a process tells systemd of itself: `sd_notify(3)`, and nothing without systemd."""

import os
import socket

__all__ = ["notify", "watchdog_seconds"]


def notify(**values: str | int) -> None:
    """Send values such as READY=1; do nothing if no manager listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name of Linux without a file
        address = "\0" + address[1:]
    message = "\n".join(f"{name}={value}" for name, value in values.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
            client.connect(address)
            client.sendall(message.encode())
    except OSError:
        return  # what the manager does not learn stops no prediction


def watchdog_seconds() -> float | None:
    """Return the time within which the manager expects a sign of life; None: it expects none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1e6 or None
    except (KeyError, ValueError):
        return None
