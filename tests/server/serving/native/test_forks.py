"""A connection that a child process holds too is closed for the loop all the same."""

import subprocess
import sys

import pytest

from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import why_not
from gnomon.server.serving.settings import FrontendSettings

pytestmark = pytest.mark.skipif(
    why_not(FrontendSettings(port=0)) is not None, reason="the native frontend cannot serve here"
)

#: The child is forked without starting a program, as one is for a moment before each program.
PROGRAM = """
import asyncio, os, signal, socket, sys, time
from pathlib import Path
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.settings import FrontendSettings

PREFACE = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

def is_answered(address):
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(PREFACE)
        return bool(client.recv(100))

package = Package.open(Path(sys.argv[1]), None)
runtime = Runtime(MemorySink())
runtime.load(package)
runtime.apply([single("eta", package.digest)])
frontend = NativeFrontend(Handler(runtime), FrontendSettings(port=0, loops=1))
host, _, port = asyncio.run(frontend.open()).rpartition(":")
address = (host, int(port))
clients = [socket.create_connection(address, timeout=10) for _ in range(8)]
for client in clients:
    client.sendall(PREFACE)
    assert client.recv(100)
child = os.fork()
for client in clients:
    client.close()
if not child:
    os.closerange(0, 3)
    time.sleep(20)
    os._exit(0)
try:
    for _ in range(20):
        assert is_answered(address)
        time.sleep(0.01)
    before = time.process_time()
    time.sleep(0.5)
    print("busy" if time.process_time() - before > 0.25 else "idle", flush=True)
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
asyncio.run(frontend.close(1))
runtime.close()
"""


def test_a_connection_that_a_child_holds_is_not_looked_at_again(package: Package) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package.path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "idle\n"), done.stderr[-2000:]
