"""A caller of the server: Triton's public client over gRPC.

It takes the same lines of JSON as a device. It learns the model's tensors from the server's
metadata, and imports nothing of Gnomon but the flights and the code that the demo's callers share.
"""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import triton_to_np_dtype

from gnomon.demo.replay import Replay
from gnomon.demo.worker import CallResult, ask_for_all, serve_commands, share_of

MODEL = "eta"
REFUSED = "StatusCode.INVALID_ARGUMENT"


def main() -> None:
    """Call the server until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--source", type=int, required=True)
    parser.add_argument("--flights", type=Path, required=True)
    options = parser.parse_args()
    replay = Replay.open(options.flights)
    client = triton.InferenceServerClient(options.server)
    metadata = client.get_model_metadata(MODEL)
    datatypes = {tensor.name: tensor.datatype for tensor in metadata.inputs}

    def call(row: Mapping[str, Any], request_id: str, at: float) -> CallResult:
        return infer(client, datatypes, row, request_id, at)

    serve_commands(
        {
            "replay": lambda command: ask_for_all(
                share_of(replay, options.source, command["first"], command["last"]),
                call,
                broken_sensor=command["broken_sensor"],
            ),
            "ask": lambda command: {
                "answers": [
                    call(row, f"server-{name}", command["at"])
                    for name, row in command["rows"].items()
                ]
            },
        },
        ready={"server": metadata.name, "versions": list(metadata.versions)},
    )


def infer(
    client: triton.InferenceServerClient,
    datatypes: Mapping[str, str],
    row: Mapping[str, Any],
    request_id: str,
    at: float,
) -> CallResult:
    """Send one row, a tensor for each field; a missing number goes as NaN.

    Args:
        client: tritonclient's.
        datatypes: field → datatype.
        row: field → value.
        request_id: by which labels are joined.
        at: the data's own time, epoch seconds.
    """
    inputs = [tensor(name, datatypes.get(name, "FP32"), value) for name, value in row.items()]
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    try:
        result = client.infer(MODEL, inputs, request_id=request_id, parameters={"at": moment})
    except triton.InferenceServerException as error:
        outcome = "refused" if error.status() == REFUSED else "failed"
        return CallResult(outcome, error=error.message() or "")
    response = result.get_response()
    return CallResult(
        "answered",
        version=response.model_version,
        fallback="gnomon_fallback" in response.parameters,
        value=float(result.as_numpy("air_time").reshape(-1)[0]),
    )


def tensor(name: str, datatype: str, value: Any) -> triton.InferInput:
    """Return one value as a tensor of shape (1,); texts are always sent as BYTES."""
    if isinstance(value, str):
        array, datatype = np.array([value.encode()], dtype=np.object_), "BYTES"
    else:
        number = float("nan") if value is None else value
        array = np.array([number], dtype=triton_to_np_dtype(datatype))
    sent = triton.InferInput(name, [1], datatype)
    sent.set_data_from_numpy(array)
    return sent


if __name__ == "__main__":
    main()
