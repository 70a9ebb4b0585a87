"""Offline mode: the operator's folder signs root and targets; the hub can change neither."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tuf.api.metadata import Metadata

from gnomon.command.root import root
from gnomon.runtime.errors import (
    ConfigurationError,
    InvalidInput,
    UntrustedMetadata,
    UntrustedPackage,
)
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.trust.offline import OfflineMetadata
from gnomon.server.hub.trust.signing_keys import SigningKeys
from tests.support.trusting_node import TrustingNode


@pytest.fixture
def run(caller: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a command of `gnomon trust`; return its JSON."""

    def run(command: str, *arguments: str) -> Any:
        line = ["trust", command, *arguments, "--json"]
        if command in ("show", "export", "import", "rotate", "replace-hub-keys"):
            key = str(caller.http.headers.get("authorization", "")).removeprefix("Bearer ")
            line += ["--url", caller.addresses.rest, *(["--api-key", key] if key else [])]
        result = CliRunner().invoke(root, line, obj=None, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return json.loads(result.output)

    return run


@pytest.fixture
def folder(run: Any, tmp_path: Path) -> Path:
    """A folder of an operator who has taken the keys over, with the hub's agreement."""
    folder = tmp_path / "offline"
    run("export", str(folder))
    run("init", str(folder))
    run("import", str(folder))
    return folder


def test_nodes_follow_the_hand_over(
    run: Any, caller: Any, builder: Any, make: Any, device: TrustingNode, folder: Path
) -> None:
    builder.publish(make("2"))
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    assert device.trust.status.mode == run("show")["mode"] == "offline"


def test_the_hub_can_no_longer_change_keys(
    caller: Any, device: TrustingNode, folder: Path, signer: Signer
) -> None:
    """Its own list decides what it publishes; the nodes' list is the operator's."""
    thief = Signer.generate()
    device.call()
    caller.post("keys", key=thief.public_key.hex(), name="thief")
    caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    device.call()
    assert device.trust.keys.key_ids == (signer.key_id,)
    answer = caller.http.post("/api/v1/trust/rotate")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_the_operator_changes_keys(
    run: Any, device: TrustingNode, folder: Path, signer: Signer
) -> None:
    learned = Signer.generate()
    run("add-key", str(folder), learned.public_key.hex())
    run("remove-key", str(folder), signer.public_key.hex())
    run("import", str(folder))
    device.call()
    assert device.trust.keys.key_ids == (learned.key_id,)
    assert device.trust.status.revoked == ("eta@1",)
    with pytest.raises(InvalidInput, match="is not trusted"):
        run("remove-key", str(folder), signer.public_key.hex())


def test_only_listed_packages_are_taken(
    run: Any, caller: Any, builder: Any, make: Any, device: TrustingNode, tmp_path: Path
) -> None:
    folder, second = str(tmp_path / "offline"), make("2")
    run("export", folder)
    run("init", folder, "--listed-packages-only")
    run("import", folder)
    builder.publish(second)
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["1"]
    assert "lists no package eta/2/onnx" in device.machine.reported().reason
    run("add-package", folder, str(second.path))
    run("import", folder)
    assert device.call() == ["2"]
    run("remove-package", folder, "eta/2/onnx")
    run("import", folder)
    assert device.call() == ["2"]  # in service
    with pytest.raises(UntrustedPackage, match="lists no package"):
        device.trust.check(device.machine.in_service.packages, [])


def test_a_threshold_needs_several_holders(run: Any, tmp_path: Path, device: TrustingNode) -> None:
    """Two of three keys must sign; one holder's signatures are not enough for the hub or a node."""
    folder = tmp_path / "offline"
    run("export", str(folder))
    run("init", str(folder), "--root-keys", "3", "--threshold", "2")
    run("import", str(folder))
    device.call()
    metadata = OfflineMetadata(folder)
    held = [tmp_path / f"holder-{number}" for number in range(3)]
    for path, key in zip(held, metadata.root.roles["root"].keyids, strict=True):
        path.mkdir()
        (folder / "keys" / f"{key}.pem").rename(path / f"{key}.pem")

    def lend(number: int) -> None:
        for key in held[number].iterdir():
            (folder / "keys" / key.name).write_bytes(key.read_bytes())

    def leave() -> None:
        for path in held:
            for key in path.iterdir():
                (folder / "keys" / key.name).unlink(missing_ok=True)

    lend(0)
    first, _ = run("sign", str(folder), "--renew-days", "10")
    assert (first["signatures"], first["threshold"]) == (1, 2)
    with pytest.raises(InvalidInput, match="root 3 is not signed as root 2 says"):
        run("import", str(folder))
    leave()
    lend(2)
    first, _ = run("sign", str(folder))
    assert first["signatures"] == 2
    run("import", str(folder))
    device.call()
    assert device.trust.status.versions["root"] == 3


def test_the_operator_rotates_the_root(run: Any, device: TrustingNode, folder: Path) -> None:
    before = OfflineMetadata(folder).root.roles["root"].keyids
    run("rotate-root", str(folder))
    run("rotate-root", str(folder))
    run("import", str(folder))
    device.call()
    assert device.trust.status.versions["root"] == 4
    assert not set(before) & set(OfflineMetadata(folder).root.roles["root"].keyids)


def test_a_provisioned_root_is_trusted_in_place_of_the_hubs(
    caller: Any, device: TrustingNode, folder: Path, tmp_path: Path
) -> None:
    """A node that has the operator's root does not take another one from the hub."""
    newest = sorted(folder.glob("*.root.json"))[-1]
    party = caller.enrol("node", "device-2")
    node = TrustingNode(party, tmp_path / "two", "device-2", root_file=newest)
    assert node.call() == ["1"]
    assert node.trust.status.mode == "offline"
    foreign = Metadata.from_bytes(newest.read_bytes())
    foreign.signed.version = 9
    (tmp_path / "foreign.json").write_bytes(foreign.to_bytes())
    with pytest.raises(ConfigurationError, match="holds no root metadata"):
        TrustingNode(party, tmp_path / "three", root_file=tmp_path / "foreign.json")


def test_a_folder_without_an_export_is_named(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gnomon trust export"):
        run("init", str(tmp_path))


def test_a_delegated_role_lists_packages_of_its_models_only(
    run: Any, caller: Any, builder: Any, make: Any, device: TrustingNode, tmp_path: Path
) -> None:
    folder, eta, toy = str(tmp_path / "offline"), make("2"), make("1", name="toy")
    run("export", folder)
    run("init", folder, "--listed-packages-only")
    run("delegate", folder, "team", "--model", "eta")
    run("add-package", folder, str(eta.path), "--role", "team")
    run("add-package", folder, str(toy.path), "--role", "team")
    run("import", folder)
    builder.publish(eta)
    builder.publish(toy)
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    caller.post("placements", model="toy", version="1")
    assert device.call() == ["2"]
    assert "lists no package toy/1/onnx" in device.machine.reported().reason
    device.restart()
    assert device.call() == ["2"]
    third = make("3")
    builder.publish(third)
    run("delegate", folder, "toys", "--model", "toy")
    run("add-package", folder, str(toy.path), "--role", "toys")
    run("import", folder)
    assert device.call() == ["2", "1"]
    caller.post("placements", model="eta", version="3")
    assert device.call() == ["2", "1"]
    run("add-package", folder, str(third.path), "--role", "team")  # what was refused is told again
    run("import", folder)
    assert device.call() == ["3", "1"]
    for role in ("targets", "desired", "1.root", "team"):
        with pytest.raises(InvalidInput):
            run("delegate", folder, role, "--model", "toy")


def test_a_rebuilt_hub_gets_new_keys_offline(
    hub: Any, run: Any, caller: Any, builder: Any, make: Any, device: TrustingNode, folder: Path
) -> None:
    """Time and numbers that a thief of the hub's keys signed are forgotten with them."""
    device.call()
    keys = SigningKeys(hub.services.settings.data_folder, hub.services.authority)
    timestamp = Metadata.from_bytes(device.known["timestamp"])
    timestamp.signed.version = 2**40
    timestamp.signatures.clear()
    timestamp.sign(keys.first("timestamp"))
    stolen = timestamp.to_bytes()
    device.change = lambda response: response.metadata.add(
        role="timestamp", version=2**40, data=stolen
    )
    device.call()
    device.change = lambda response: None
    with pytest.raises(UntrustedMetadata):
        device.call()
    run("replace-hub-keys", str(folder))
    run("import", str(folder))
    builder.publish(make("2"))
    caller.post("placements", model="eta", version="2")
    assert device.call() == ["2"]
    assert device.trust.status.versions["timestamp"] < 1_000
