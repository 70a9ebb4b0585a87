"""Signals that end a process do so even if it was stopped when they came."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gnomon.runtime.stop_signals import StopSignals
from tests.support.waiting import wait_for

#: Waits for ever in its main thread, beside threads that may be handed the signal.
PROGRAM = """
import threading
from gnomon.runtime.stop_signals import StopSignals

with StopSignals() as stop:
    for _ in range(8):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("waiting", flush=True)
    stop.wait()
    print("stopped", flush=True)
"""


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_stopped_process_is_seen_when_it_continues(number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid))
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_the_wait_ends_with_its_time_or_with_a_signal() -> None:
    with StopSignals() as stop:
        assert (stop.wait(0), stop.wait(0.001), stop.is_set()) == (False, False, False)
        timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert stop.wait(60)
        assert stop.is_set()
        assert stop.wait()
        timer.join()


def test_afterwards_the_signals_do_what_they_did() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    woken = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(woken)
    with StopSignals() as stop:
        stop.set()
        assert stop.wait()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(woken) == woken
