"""A device of the demo: a program that embeds the agent.

It takes lines of JSON: `replay` its share of some days, `ask` for single rows, `label`, and
`status`.
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gnomon import Agent
from gnomon.demo.replay import Replay
from gnomon.demo.worker import CallResult, ask_for_all, serve_commands, share_of
from gnomon.logs.setup import set_up_logging
from gnomon.runtime.errors import GnomonError, InvalidInput

MODEL = "eta"


def main() -> None:
    """Run one device until its standard input ends or SIGTERM arrives."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("name", "hub", "enrolment", "token", "fingerprint", "engine"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--source", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--flights", type=Path, required=True)
    options = parser.parse_args()
    set_up_logging()
    replay = Replay.open(options.flights)
    with Agent(
        name=options.name,
        data=options.data,
        hub=options.hub,
        enrolment=options.enrolment,
        token=options.token,
        authority_fingerprint=options.fingerprint,
        engines=(options.engine,),
        upload_seconds=0.3,
        checkpoint_seconds=1.0,
        longest_pause_seconds=2.0,
    ) as agent:
        agent.wait_ready(60)
        serve_commands(
            {
                "replay": lambda command: ask_for_all(
                    share_of(replay, options.source, command["first"], command["last"]),
                    lambda row, request_id, at: predict(agent, row, request_id, at),
                    broken_sensor=command["broken_sensor"],
                ),
                "ask": lambda command: {
                    "answers": [
                        predict(agent, row, f"{options.name}-{name}", command["at"])
                        for name, row in command["rows"].items()
                    ]
                },
                "label": lambda command: {"kept": label(agent, command["labels"])},
                "status": lambda _: asdict(agent.status()),
            },
            ready={"name": options.name},
        )


def predict(agent: Agent, row: Mapping[str, Any], request_id: str, at: float) -> CallResult:
    """Predict one row with the embedded agent.

    Args:
        agent: the embedded agent.
        row: field → value.
        request_id: by which labels are joined.
        at: the data's own time, epoch seconds.
    """
    try:
        prediction = agent.predict(row, model=MODEL, request_id=request_id, at=at)
    except InvalidInput as error:
        return CallResult("refused", error=str(error), details=list(error.details))
    except GnomonError as error:
        return CallResult("failed", error=str(error), details=list(error.details))
    return CallResult(
        "answered",
        version=prediction.version,
        fallback=prediction.fallback is not None,
        value=prediction.outputs["air_time"],
    )


def label(agent: Agent, labels: list[tuple[str, float, float]]) -> int:
    """Report labels to the agent: request id, minutes, and the time of the label."""
    for request_id, value, at in labels:
        agent.label(request_id, value, model=MODEL, at=datetime.fromtimestamp(at, UTC))
    return len(labels)


if __name__ == "__main__":
    main()
