"""Desired states are built when somebody has decided something, and not otherwise."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from gnomon.proto import hub_pb2
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.fleet.desired_cache import DesiredStates


def test_a_state_is_built_once_until_the_chain_grows(hub: Any, builder: Any, make: Any) -> None:
    built: list[tuple[str, ...]] = []

    def build(
        connection: Connection, engines: Sequence[str], environment: str
    ) -> hub_pb2.DesiredState:
        built.append((environment, *engines))
        return desired.build(connection, engines, environment)

    states, database = DesiredStates(build), hub.services.database

    def versions(environment: str = "production") -> list[str]:
        with database.read() as connection:
            wanted = states.find(connection, ["onnx"], environment)
        return [package.version for package in wanted.state.packages]

    builder.publish(make())
    assert [versions(), versions(), versions("staging"), versions("staging")] == [[], [], [], []]
    assert built == [("production", "onnx"), ("staging", "onnx")]
    with database.change("ada") as change:
        desired.place(change, "eta", "1")
    assert [versions(), versions(), versions("staging")] == [["1"], ["1"], []]
    assert built[2:] == [("production", "onnx"), ("staging", "onnx")]
