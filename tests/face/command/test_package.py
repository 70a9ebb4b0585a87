"""The commands around packages: what they print, and that it is so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gnomon.client.hub import HubClient
from gnomon.client.registry import BuilderSettings, ListedPackage, RegistryClient
from gnomon.command.root import run
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from tests.support.hub_command import HubCommand
from tests.support.recipes import linear_onnx, write_project


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run a command with --json; return what it printed."""
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    Signer.generate().save(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def test_the_printed_example_is_built_and_verified(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["package", "build", "--example"]) == 0
    recipe = write_project(tmp_path, capsys.readouterr().out)
    out = tmp_path / "packages" / "duration-1"
    built = ask(capsys, "package", "build", str(recipe), str(out), "--key", str(key))
    public = Signer.load(key).public_key
    assert Package.open(out, TrustStore([public])).digest == built["digest"]
    assert built["test_metrics"]["mae"] > 0
    assert built["golden_samples"] >= 20
    verified = ask(capsys, "package", "verify", str(out), "--key", public.hex())
    assert verified["signers"] == built["signers"]
    assert run(["package", "build", str(recipe), str(out)]) == 0
    assert "duration@1 (onnx)" in capsys.readouterr().out


def test_a_wrong_recipe_is_the_callers_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_project(tmp_path, 'name = "x"\nspeed = 1\n')
    problem = ask(capsys, "package", "build", str(recipe), str(tmp_path / "out"), code=2)
    assert "unknown key speed; known are name, version" in problem["message"]
    assert problem["error"] == "configuration"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubCommand]:
    process = HubCommand(tmp_path_factory.mktemp("hub"))
    yield process
    process.stop()


def test_a_package_of_a_high_tier_is_built_by_a_pipeline_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_project(tmp_path, EXAMPLE.replace('risk_tier = "low"', 'risk_tier = "high"'))
    problem = ask(capsys, "package", "build", str(recipe), str(tmp_path / "out"), code=2)
    assert "built by a recorded pipeline alone" in problem["message"]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_package_is_pushed_and_pulled(
    tmp_path: Path, key: Path, hub: HubCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_project(tmp_path, EXAMPLE)
    built = ask(capsys, "package", "build", str(recipe), str(tmp_path / "one"), "--key", str(key))
    token = ask(capsys, "hub", "token", "--role", "builder", "--url", hub.rest)["token"]
    config = ["--config", str(hub.settings(tmp_path, token))]
    path, url = str(tmp_path / "one"), ["--url", hub.rest]
    refused = ask(capsys, *config, "package", "push", path, code=3)
    assert refused["error"] == "untrusted_package"
    public = Signer.load(key).public_key
    ask(capsys, "hub", "trust", public.hex(), *url)
    assert ask(capsys, *config, "package", "push", path)["created"]
    assert not ask(capsys, *config, "package", "push", path)["created"]

    out = tmp_path / "pulled"
    ask(capsys, "registry", "alias", "duration@1", "audited", *url)
    pulled = ask(capsys, *config, "package", "pull", "duration@audited", str(out), *url)
    assert pulled["digest"] == built["digest"]
    again = Package.open(out, TrustStore([public]))
    assert again.golden == Package.open(tmp_path / "one", None).golden
    assert run([*config, "package", "pull", "duration@1", str(out), *url]) == 2
    assert "exists; pull into a folder that does not" in capsys.readouterr().err
    assert list((tmp_path / "builder" / "slots" / "packages").iterdir()) == []

    for reference, code, message in (
        ("duration@9", 2, "there is no duration@9 in the registry; the newest are duration@1"),
        ("speed@1", 2, "there is no model 'speed'"),
        ("duration", 2, "should be NAME@VERSION"),
    ):
        there = str(tmp_path / "x")
        problem = ask(capsys, *config, "package", "pull", reference, there, *url, code=code)
        assert message in problem["message"]


@pytest.mark.slow
def test_what_the_hub_offers_is_believed_only_by_digest_and_signature(
    tmp_path: Path, key: Path, hub: HubCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hub that is not honest: an old version offered as a new one, and strangers' envelopes."""
    signer = Signer.load(key)
    with HubClient(hub.rest) as client:
        client.post("keys", {"key": signer.public_key.hex(), "name": "ada"})
        token = client.post("tokens", {"role": "builder"})["token"]
    settings = BuilderSettings(
        name="ada",
        data_folder=tmp_path / "builder",
        hub=hub.addresses["sync"],
        enrolment=hub.addresses["enrolment"],
        token=token,
        authority_fingerprint=hub.addresses["fingerprint"],
    )
    recipe = read_recipe(write_project(tmp_path, EXAMPLE.replace('"duration"', '"parcel"')))
    package = build_recipe(recipe, tmp_path / "parcel", signer)
    offered = ListedPackage(
        name="parcel",
        version="1",
        format="onnx",
        digest=package.digest,
        envelopes=package.envelopes,
    )
    stranger = Signer.generate().sign_package(package.digest, "parcel", "1")
    with RegistryClient(settings) as registry:
        assert registry.push(package)
        for lie, error, message in (
            (replace(offered, version="2"), PackageError, "but it is parcel/1/onnx"),
            (replace(offered, name="eta"), PackageError, "but it is parcel/1/onnx"),
            (replace(offered, envelopes=(stranger,)), UntrustedPackage, "no valid signature"),
            (replace(offered, envelopes=()), UntrustedPackage, "no envelope"),
            (replace(offered, digest="0" * 64), UntrustedPackage, "another package"),
        ):
            with pytest.raises(error, match=message):
                registry.pull(lie, tmp_path / "out")
            assert not (tmp_path / "out").exists()
        assert registry.pull(offered, tmp_path / "out").digest == package.digest


def test_builder_settings_are_shown_and_a_builder_needs_a_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ask(capsys, "config", "builder")
    assert shown["problems"] == [
        "builder.hub is not set: give --hub, GNOMON_BUILDER_HUB, or hub under [builder] in "
        "gnomon.toml"
    ]
    with pytest.raises(ValueError, match="host:port"):
        BuilderSettings(hub="nowhere")


@pytest.mark.slow
def test_a_test_deployment_is_reported_and_attested(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_project(tmp_path, EXAMPLE)
    out = str(tmp_path / "one")
    built = ask(capsys, "package", "build", str(recipe), out, "--key", str(key))
    public = Signer.load(key).public_key
    command = ["package", "test", out, "--trust", public.hex(), "--runs", "30"]
    report = ask(capsys, *command, "--key", str(key))
    assert report["passed"]
    assert report["digest"] == built["digest"]
    opened = Package.open(tmp_path / "one", TrustStore([public]))
    assert Path(report["attestation"]).read_bytes() in opened.envelopes
    slow = ask(capsys, *command, "--p99-us", "0", code=1)
    assert [one["name"] for one in slow["checks"] if not one["passed"]] == ["latency"]
    assert run(["package", "test", out, "--runs", "30"]) == 0
    assert "Test deployment of duration@1 (onnx)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_bare_model_is_imported_and_says_what_it_lacks(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(linear_onnx([1.0, 2.0], 0.0))
    options = ["--name", "found", "--version", "1", "--columns", "a, b"]
    command = ["package", "import", str(model), str(tmp_path / "found"), *options]
    assert ask(capsys, *command, "--key", str(key))["reference_rows"] == 0
    shown = ask(capsys, "package", "inspect", str(tmp_path / "found"))
    assert [field["name"] for field in shown["inputs"]] == ["a", "b"]
    assert run(command) == 0
    assert "no reference to" in capsys.readouterr().out
