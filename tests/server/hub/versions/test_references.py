"""Every command that takes a version of a hub's registry takes an alias for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gnomon.command.root import root
from gnomon.runtime.errors import ConfigurationError, UnknownModel
from gnomon.runtime.packages.package import Package
from tests.support.names import commands
from tests.support.packages import linear_onnx

Make = Callable[..., Package]

#: A call with an alias → what its answer says if the alias was resolved.
CALLS = {
    "hub place eta@audited": '"version": "1"',
    "registry alias eta@champion stable": '"stable": "1"',
    "registry approvals eta@champion": "[]",
    "registry approve eta@champion": '"version": "1"',
    "registry compare eta champion audited": '"version": "1"',
    "registry decommission eta@champion": "eta@1",
    "registry show eta@champion": '"version": "1"',
    "registry tag eta@champion region=north": '"region": "north"',
    "registry withdraw eta@champion": '"version": "1"',
    "hub rollout eta@champion": "eta@1",
}
#: These need an enrolled builder; their own tests call them.
BY_BUILDERS = {"package pull", "registry archive", "registry replay"}


@pytest.fixture
def placed(caller: Any, builder: Any, make: Make) -> Any:
    """Return the caller of a hub with eta@1 in service, and as `audited`; and with eta@2."""
    for one in (make("1"), make("2", model=linear_onnx([1.0, 0.0, 0.0, 0.0, 0.0], 1.0))):
        builder.publish(one)
    caller.post("placements", model="eta", version="1")
    caller.post("models/eta/aliases", alias="audited", version="1")
    return caller


def called(caller: Any, line: str) -> Result:
    url = ["--url", caller.addresses.rest, "--json"]
    return CliRunner().invoke(root, [*line.split(), *url], obj=None)


def test_every_command_that_takes_a_version_is_examined_here() -> None:
    taking = {
        words
        for words, command in commands().items()
        if words.startswith(("hub ", "package ", "registry "))
        and any("@VERSION" in (one.metavar or "") for one in command.params)
    }
    examined = {" ".join(line.split()[:2]) for line in CALLS} | BY_BUILDERS
    assert taking - {"hub export"} <= examined


def test_an_alias_stands_for_its_version_in_every_command(placed: Any) -> None:
    for line, expected in CALLS.items():
        shown = called(placed, line)
        said = shown.output or str(shown.exception)
        assert expected in said or expected in str(shown.exception), (line, said, shown.exception)
        assert "no eta@champion" not in str(shown.exception)


def test_a_reference_to_a_version_and_an_alias_of_another_is_refused(
    placed: Any, builder: Any, make: Make
) -> None:
    builder.publish(make("candidate", model=linear_onnx([2.0, 0.0, 0.0, 0.0, 0.0], 1.0)))
    shown = called(placed, "registry show eta@candidate")
    assert json.loads(shown.output)["version"] == "candidate"
    placed.post("models/eta/aliases", alias="candidate", version="2")
    refused = called(placed, "registry show eta@candidate")
    assert isinstance(refused.exception, ConfigurationError)
    assert "is a version, and an alias of eta@2" in str(refused.exception)
    unknown = called(placed, "registry show eta@nobody")
    assert isinstance(unknown.exception, UnknownModel)
