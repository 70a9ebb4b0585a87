"""A builder's key signs packages of its models only, for the hub and for nodes."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gnomon.command.root import root
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput, UntrustedMetadata, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.package_keys import PackageKey
from gnomon.runtime.packages.signing import PREDICATE_TYPE, Signer, TrustStore
from gnomon.runtime.trust.content import TargetsStatement
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.process import Hub
from tests.support.restorable_hub import RestorableHub
from tests.support.trusting_node import TrustingNode

DIGEST = "d" * 64
OTHER = Signer.generate()


@pytest.fixture
def limited(caller: Any) -> Signer:
    """A key for the models toy-*, as the hub trusts it."""
    signer = Signer.generate()
    caller.post("keys", key=signer.public_key.hex(), name="bob", models="toy-*")
    return signer


def refer(package: Package, name: str | None = None) -> hub_pb2.PackageRef:
    manifest = package.manifest
    return hub_pb2.PackageRef(
        name=name or manifest.name,
        version=manifest.version,
        digest=package.digest,
        format=manifest.format,
        envelopes=package.envelopes,
    )


def signed_as(package: Package, signer: Signer, name: str) -> list[bytes]:
    """Return envelopes in which a key says that a package is of another model than it is."""
    tested = [one for one in package.envelopes if b"urn:gnomon" not in one]
    return [*tested, signer.sign_package(package.digest, name, package.manifest.version)]


@given(st.sampled_from(["eta", "toy-a"]), st.sampled_from(["eta", "toy-a", None]))
def test_a_limited_key_counts_for_its_models_alone(subject: str, model: str | None) -> None:
    """The statement that it signs must be about one of them, and the manifest of the same."""
    trust = TrustStore([PackageKey(OTHER.public_key, "toy-*")])
    envelope = OTHER.sign_package(DIGEST, subject, "1", {"passed": True})
    counts = subject == "toy-a" and model in (None, subject)
    if counts:
        assert trust.verify(DIGEST, [envelope], model) == (OTHER.key_id,)
    else:
        with pytest.raises(UntrustedPackage, match=r"its key signs for toy-\*"):
            trust.verify(DIGEST, [envelope], model)
    stated = trust.statements(DIGEST, [envelope], PREDICATE_TYPE, model or subject)
    assert bool(stated) == counts


def test_the_hub_publishes_packages_of_its_models_only(
    builder: Any, make: Any, limited: Signer
) -> None:
    builder.publish(make("1", name="toy-a", signer=limited))
    eta = make("1", signer=limited)
    with pytest.raises(UntrustedPackage, match=r"about the model 'eta', .* signs for toy-\*"):
        builder.publish(eta)
    with pytest.raises(UntrustedPackage, match=r"signs for toy-\*"):
        builder.publish_digest(eta.digest, *signed_as(eta, limited, "toy-a"))


def test_the_hub_places_nothing_that_the_key_signs_no_longer(
    hub: Hub, caller: Any, builder: Any, make: Any, limited: Signer
) -> None:
    """The models of a key can be changed; what it signed before is then as if it were revoked."""
    builder.publish(make("1", name="toy-a", signer=limited))
    body = {"key": limited.public_key.hex(), "models": "toy-b"}
    assert caller.post("keys", **body) == {"key": body["key"], "added": False}
    with (
        hub.services.database.change("ada") as change,
        pytest.raises(UntrustedPackage, match="signed by no key that is trusted here now"),
    ):
        desired.place(change, "toy-a", "1")
    answer = caller.http.post("/api/v1/placements", json={"model": "toy-a", "version": "1"})
    assert "no test deployment that a trusted tester's key attests" in answer.text
    assert {one["models"] for one in caller.get("keys")} == {"*", "toy-b"}
    assert caller.get("trust")["limited_keys"] == {body["key"]: "toy-b"}


@pytest.mark.parametrize("called", ["eta", "toy-a"])
def test_a_node_takes_packages_of_its_models_only(
    caller: Any, device: TrustingNode, make: Any, limited: Signer, called: str
) -> None:
    """Whatever the hub calls the package: the manifest says whose it is."""
    device.call()
    device.trust.check([refer(make("1", name="toy-a", signer=limited))], [])
    package = make("9", signer=limited)
    with pytest.raises(UntrustedPackage, match=r"signs for toy-\*"):
        device.trust.check([refer(package, called)], [])
    with pytest.raises(UntrustedPackage, match=r"signs for toy-\*"):
        Package.open(package.path, device.trust.former_keys)
    (next((package.path / "attestations").iterdir())).write_bytes(
        signed_as(package, limited, "toy-a")[-1]
    )
    with pytest.raises(UntrustedPackage, match=r"signs for toy-\*"):
        Package.open(package.path, device.trust.former_keys)


def test_what_is_in_service_stays_if_its_key_is_limited(
    caller: Any, device: TrustingNode, signer: Signer
) -> None:
    caller.post("keys", key=signer.public_key.hex(), models="toy-*")
    for _ in range(2):
        assert device.call() == ["1"]
        assert device.trust.status.revoked == ("eta@1",)
        (package,) = device.machine.in_service.packages
        device.trust.former_keys.verify(package.digest, package.envelopes, "eta")
        device.restart()
        device.trust.note_in_service([package])


def test_programs_that_know_no_limits_trust_no_limited_key(
    caller: Any, limited: Signer, signer: Signer, fresh_key: Any
) -> None:
    """It has fields of its own, which an older node or builder does not read."""
    token = caller.token("node", "device-1")
    answer = caller.stranger(token).enrol(token["token"], fresh_key(), "device-1")
    assert list(answer.trusted_keys) == [signer.public_key]
    (one,) = answer.limited_keys
    assert (one.key, one.models) == (limited.public_key, "toy-*")
    assert caller.get("trust")["package_keys"] == [signer.public_key.hex()]
    statement = TargetsStatement.of([PackageKey(b"k" * 32, "eta")], listed_packages_only=False)
    assert statement.package_keys == ()
    assert statement.keys == (PackageKey(b"k" * 32, "eta"),)


def test_a_restored_hub_takes_limits_back_from_a_node(
    caller: Any, restorable: RestorableHub, signer: Signer
) -> None:
    device, late = restorable.device, Signer.generate().public_key.hex()
    device.call()
    restorable.save()
    caller.post("keys", key=signer.public_key.hex(), models="toy-*")
    caller.post("keys", key=late, models="eta")
    device.call()
    with restorable.restored() as there:
        with pytest.raises(UntrustedMetadata):  # the hub asks for what it forgot
            device.call()
        device.call()
        found = {one["key"]: one["models"] for one in there.get("keys")}
        assert found == {signer.public_key.hex(): "toy-*", late: "eta"}


def test_an_operator_limits_keys_by_commands(caller: Any, tmp_path: Path) -> None:
    folder, key = str(tmp_path / "offline"), Signer.generate().public_key.hex()
    access = str(caller.http.headers["authorization"]).removeprefix("Bearer ")
    at = ["--url", caller.addresses.rest, "--api-key", access]

    def run(*line: str) -> str:
        result = CliRunner().invoke(root, list(line), obj=None, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.output

    run("hub", "trust", key, "--models", "eta-*", *at)
    assert caller.get("trust")["limited_keys"] == {key: "eta-*"}
    run("trust", "export", folder, *at)
    run("trust", "init", folder)
    run("trust", "add-key", folder, key, "--models", "toy")
    run("trust", "import", folder, *at)
    assert f"{key}, for toy" in run("trust", "show", *at).replace("\n", "")
    run("trust", "remove-key", folder, key)
    run("trust", "import", folder, *at)
    assert caller.get("trust")["limited_keys"] == {}
    for models in ("ETA", "eta/*", ""):
        with pytest.raises(InvalidInput, match="should be a name or a pattern"):
            run("trust", "add-key", folder, key, "--models", models)
