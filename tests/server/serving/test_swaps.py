"""Swaps of versions that nobody has seen before: no call falls between an old one and a new one."""

import itertools
import sys
import threading
from pathlib import Path

import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.handler import Handler
from tests.support.packages import make_package

VERSIONS = 40


def request() -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="eta")
    for name, number in (("distance", 800.0), ("wind", 10.0)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"UA")
    return message


@pytest.mark.slow
def test_no_call_fails_while_new_versions_come_and_go(tmp_path: Path) -> None:
    packages = [
        make_package(tmp_path / str(number), None, version=str(number))
        for number in range(VERSIONS)
    ]
    runtime = Runtime(MemorySink())
    runtime.load(packages[0])
    runtime.apply([single("eta", packages[0].digest)])
    handler = Handler(runtime)
    stop = threading.Event()
    failures: list[str] = []
    versions: set[str] = set()

    def ask() -> None:
        while not stop.is_set():
            try:
                versions.add(handler.infer(request()).model_version)
            except GnomonError as error:
                failures.append(str(error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for package in packages[1:]:
            runtime.load(package)
        # Routes follow each other as quickly as they can, each seen for a moment only.
        for old, new in itertools.pairwise(packages):
            runtime.apply([single("eta", new.digest)])
            runtime.unload(old.digest)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        runtime.close()
    assert not failures
    assert versions
