"""A version is approved where its risk asks for it, and in the end decommissioned."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gnomon.command.root import root
from gnomon.runtime.errors import Conflict, NotAllowed, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import APPROVAL_PREDICATE_TYPE, Signer, TrustStore
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from tests.support.hub import Caller
from tests.support.packages import attest_run, make_package, record_run

Make = Callable[..., Package]
VERSION = "models/eta/versions/1"


def command(caller: Any, *arguments: str) -> Any:
    line = [*arguments, "--url", caller.addresses.rest, "--json"]
    result = CliRunner().invoke(root, line, obj=None)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def refused(caller: Any, path: str, **body: Any) -> str:
    answer: httpx.Response = caller.http.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 409, answer.text
    return str(answer.json()["detail"])


@pytest.fixture
def risky(caller: Any, builder: Any, make: Make) -> Package:
    tester = Signer.generate()
    caller.post("keys", key=tester.public_key.hex(), role="tester")
    package = make(risk_tier="high", tester=tester)
    record_run(caller, package)
    builder.publish(package)
    return package


def test_a_risky_package_is_taken_from_a_recorded_run_of_committed_code_only(
    caller: Any, builder: Any, make: Make, signer: Signer
) -> None:
    package = make(risk_tier="high", with_run=False)
    record_run(caller, package)
    with pytest.raises(UntrustedPackage, match="which run of committed code made it"):
        builder.publish(package)
    for key, code_clean in ((Signer.generate(), True), (signer, False)):
        attest_run(package, key, code_clean=code_clean)
        with pytest.raises(UntrustedPackage, match="which run of committed code made it"):
            builder.publish(Package.open(package.path, TrustStore([signer.public_key])))
    attest_run(package, signer)
    assert builder.publish(Package.open(package.path, TrustStore([signer.public_key])))


def test_a_hub_may_require_a_strict_tier_of_a_model_and_a_builder_only_raises_it(
    settings: HubSettings, tmp_path: Path
) -> None:
    signer = Signer.generate()
    known = make_package(tmp_path / "known", signer)
    for patterns in ((), ("et*",)):
        hub = Hub(replace(settings, strict_models=patterns))
        hub.start()
        try:
            caller = Caller(hub.addresses)
            if not patterns:
                caller.post("keys", key=signer.public_key.hex(), name="ada")
            builder = caller.enrol("builder", f"ada-{len(patterns)}")
            # What is published already may get further attestations.
            builder.publish(known)
            if patterns:
                low = make_package(tmp_path / "low", signer, version="2")
                with pytest.raises(NotAllowed, match="is of risk tier 'low', but packages of eta"):
                    builder.publish(low)
                high = make_package(tmp_path / "high", signer, version="2", risk_tier="high")
                record_run(caller, high)
                assert builder.publish(high)
            caller.close()
        finally:
            hub.stop()


@pytest.mark.both_databases
def test_a_risky_version_needs_an_approval_in_production(caller: Any, risky: Package) -> None:
    place = {"model": "eta", "version": "1"}
    assert "needs an approval in production" in refused(caller, "placements", **place)
    caller.post("placements", **place, environment="staging")
    command(caller, "registry", "approve", "eta@1", "--env", "staging")
    assert "needs an approval" in refused(caller, "placements", **place)
    (given, _) = command(caller, "registry", "approve", "eta@1", "--reason", "looked at it")
    assert (given["approver"], given["digest"]) == ("local", risky.digest)
    assert caller.post("placements", **place)["changed"]
    assert "approved for production, staging" in caller.http.get("/models/eta").text
    command(caller, "registry", "withdraw", "eta@1")
    assert caller.get("models")[0]["in_service"] == "1"
    assert [bool(one["withdrawn_at"]) for one in caller.get(f"{VERSION}/approvals")] == [
        True,
        False,
    ]


def test_an_admin_says_which_tiers_are_exempt(caller: Any, risky: Package) -> None:
    command(caller, "hub", "policy", "test", "--exempt", "low")
    place = {"model": "eta", "version": "1"}
    assert "needs an approval in test" in refused(caller, "placements", **place, environment="test")
    listed = command(caller, "hub", "policy", "production", "--no-approvals")
    assert {one["name"]: one["exempt_tiers"] for one in listed} == {
        "development": None,
        "test": ["low"],
        "staging": None,
        "production": None,
    }
    assert caller.post("placements", **place)["changed"]


def test_no_one_approves_what_is_their_own(caller: Any, risky: Package) -> None:
    key = caller.post("principals", name="ada", role="approver")["key"]
    own = caller.http.post(
        f"/api/v1/{VERSION}/approvals", json={}, headers={"authorization": f"Bearer {key}"}
    )
    assert own.status_code == 409
    assert "another person" in own.json()["detail"]


def test_an_approval_may_travel_with_the_package(
    caller: Any, builder: Any, risky: Package, signer: Signer
) -> None:
    approver = Signer.generate()
    stated = {"environment": "production"}

    def approve(by: Signer, **about: str) -> None:
        envelope = by.sign_package(
            risky.digest, "eta", "1", {**stated, **about}, APPROVAL_PREDICATE_TYPE
        )
        builder.publish_digest(risky.digest, *risky.envelopes, envelope)

    approve(signer)  # a builder's key approves nothing
    approve(approver)
    assert "needs an approval" in refused(caller, "placements", model="eta", version="1")
    caller.post("keys", key=approver.public_key.hex(), role="approver")
    assert caller.post("placements", model="eta", version="1")["changed"]
    assert "role of approver" in refused(caller, "keys", key=approver.public_key.hex())


def test_another_format_needs_its_own_approval(
    caller: Any, builder: Any, risky: Package, make: Make
) -> None:
    command(caller, "registry", "approve", "eta@1")
    caller.post("placements", model="eta", version="1")
    other = make(format="tflite", risk_tier="high")
    record_run(caller, other)
    with pytest.raises(Conflict, match="publish another format under another version"):
        builder.publish(other)


def test_package_approve_signs_what_a_hub_takes(make: Make, tmp_path: Path) -> None:
    package, approver = make(), Signer.generate()
    approver.save(tmp_path / "approver.pem")
    line = ["package", "approve", str(package.path), "--key", str(tmp_path / "approver.pem")]
    result = CliRunner().invoke(root, [*line, "--json"], obj=None)
    assert result.exit_code == 0, result.output
    again = Package.open(package.path, None)
    assert (again.digest, len(again.envelopes)) == (package.digest, len(package.envelopes) + 1)


@pytest.mark.both_databases
def test_what_runs_is_not_decommissioned(caller: Any, builder: Any, node: Any, make: Make) -> None:
    first = make()
    for package in (first, make("2")):
        builder.publish(package)
    caller.post("placements", model="eta", version="1")
    caller.post("models/eta/aliases", alias="audited", version="1")
    node.exchange(facts={"engines": "onnx"}, reported={"digests": [first.digest]})
    told = refused(caller, f"{VERSION}/decommission", reason="old")
    for use in ("placed in production", "alias audited", "node device-1"):
        assert use in told
    caller.post("rollouts", model="eta", version="2")
    assert "rollout " in refused(caller, "models/eta/versions/2/decommission", reason="old")


@pytest.mark.both_databases
def test_a_decommissioned_version_is_read_and_not_rolled_out(
    caller: Any, builder: Any, make: Make
) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    caller.post("placements", model="eta", version="2")
    command(caller, "registry", "decommission", "eta@1", "--reason", "biased")
    assert caller.get(VERSION)["decommissioned"]["reason"] == "biased"
    assert command(caller, "registry", "show", "eta@1")["version"] == "1"
    for path in ("placements", "rollouts"):
        told = refused(caller, path, model="eta", version="1")
        assert told == "eta@1 was decommissioned by local (biased)"
    refused(caller, f"{VERSION}/decommission", reason="again")
    with pytest.raises(Conflict, match="was decommissioned"):
        builder.publish(make("1", format="tflite"))

    answer = caller.http.post("/api/v1/models/eta/versions/2/decommission", json={"force": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    forced = caller.post("models/eta/versions/2/decommission", force=True, reason="leaks")
    assert forced["uses"] == ["placed in production"]
    page = caller.http.get("/models/eta").text
    assert 'title="biased">decommissioned<' in page
    record = caller.get("audit", limit=1)[0]
    assert (record["action"], record["detail"]["forced"]) == ("decommission", True)
