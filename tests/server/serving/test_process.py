"""Whole servers in processes of their own, asked by a client that no one here wrote."""

import signal
import subprocess
import sys
from typing import Any

import pytest

TRITON = """
import sys
import numpy as np
import tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("eta")
metadata = client.get_model_metadata("eta")
assert [i.name for i in metadata.inputs] == ["distance", "wind", "carrier"]

def tensors(distance, carrier, kind="FP64"):
    values = {
        "distance": (np.array(distance), kind),
        "wind": (np.array([[10.0]] * len(distance)), "FP64"),
        "carrier": (np.array(carrier, object), "BYTES"),
    }
    made = []
    for name, (array, datatype) in values.items():
        tensor = triton.InferInput(name, array.shape, datatype)
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made

result = client.infer("eta", tensors([[800.0], [400.0]], ["UA", "AA"]), request_id="q1",
                      outputs=[triton.InferRequestedOutput("air_time")],
                      parameters={"at": "2013-07-04T12:00:00", "key": "customer-7"})
assert result.as_numpy("air_time").tolist() == [[111.0], [51.0]], result.as_numpy("air_time")
assert result.get_response().id == "q1" and result.get_response().model_version == "1"

for bad in (tensors([[-1.0]], ["UA"]), tensors([[np.nan]], ["UA"]), tensors([[800.0]], ["ZZ"]),
            tensors(np.array([["far"]], object), ["UA"], "BYTES"),
            tensors([[800.0]], ["UA"])[:2], []):
    try:
        client.infer("eta", bad)
    except triton.InferenceServerException as error:
        assert error.status() == "StatusCode.INVALID_ARGUMENT", error
        print(error.message())
    else:
        raise SystemExit("a bad request was answered")
client.close()
"""

BUSY = """
import sys, threading, time
import numpy as np
import tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1])
made = []
for name, value, datatype in (("distance", 800.0, "FP64"), ("wind", 10.0, "FP64"),
                              ("carrier", "UA", "BYTES")):
    array = np.array([[value]], object if datatype == "BYTES" else float)
    tensor = triton.InferInput(name, array.shape, datatype)
    tensor.set_data_from_numpy(array)
    made.append(tensor)
answered = 0
while client.is_server_ready():
    client.infer("eta", made)
    answered += 1
    if answered == 20:
        print("ready", flush=True)
print(answered)
"""


def test_tritonclient_is_answered_and_refused_by_name(server: Any) -> None:
    process, address = server()
    done = subprocess.run(
        [sys.executable, "-c", TRITON, address],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "'distance': -1.0 breaks 'minimum'" in done.stdout
    assert process.poll() is None


@pytest.mark.slow
def test_a_drain_fails_no_call_of_a_client_that_heeds_it(server: Any) -> None:
    process, address = server(notice_seconds=0.5)
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, address], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout
        assert client.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert int(client.stdout.readline()) >= 20
        assert client.wait(timeout=30) == 0
    assert process.wait(timeout=30) == 0
