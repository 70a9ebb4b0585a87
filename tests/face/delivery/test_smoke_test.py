"""A test deployment finds what would fail on the target, and its outcome can be attested."""

import dataclasses

import msgspec
import pytest

from gnomon.delivery.smoke_test import Limits, attest, smoke_test
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.pipeline.recipes.file import read_recipe
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.golden import encode_golden
from gnomon.runtime.packages.layout import GOLDEN, MANIFEST, PROFILE
from gnomon.runtime.packages.manifest import Needs
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.requirements import Machine, this_machine, unmet
from gnomon.runtime.packages.signing import TEST_PREDICATE_TYPE, Signer, TrustStore
from gnomon.runtime.packages.writing import write_package
from tests.support.recipes import write_project

QUICK = Limits(runs=30)
HERE = Machine(
    system="linux",
    architecture="x86_64",
    memory_mib=512,
    cpu_features=frozenset({"avx", "avx2"}),
    runtime_version="1.2.0",
)


@pytest.fixture(scope="module")
def signer():
    return Signer.generate()


@pytest.fixture(scope="module")
def good(tmp_path_factory, signer):
    folder = tmp_path_factory.mktemp("good")
    return build_recipe(read_recipe(write_project(folder, EXAMPLE)), folder / "package", signer)


def altered(folder, package, signer, model=None, golden=None, **changes):
    """Write the package again with other parts: a builder's honest mistake."""
    fields = msgspec.json.decode(package.manifest_bytes) | changes
    del fields["files"]
    files = {
        "model.onnx": model or package.read_model(),
        PROFILE: package.read(PROFILE),
        GOLDEN: encode_golden(golden or package.golden),
    }
    return write_package(folder / "package", fields, files, signer)


def failed(report):
    return {check.name: check.detail for check in report.checks if not check.passed}


def test_a_good_package_passes_and_is_measured(good, signer):
    report = smoke_test(good.path, TrustStore([signer.public_key]), QUICK)
    assert report.passed, report
    assert [check.name for check in report.checks] == [
        "signature",
        "needs",
        "engine",
        "dependencies",
        "load",
        "golden",
        "latency",
        "memory",
    ]
    assert signer.key_id[:16] in report.checks[0].detail
    assert 0 < report.figures["p50_us"] <= report.figures["p99_us"]
    assert report.figures["process_mib"] > report.figures["model_mib"] >= 0
    assert report.figures["runs"] == 30


def test_the_outcome_is_attested_and_the_digest_stays(tmp_path, good, signer):
    package = altered(tmp_path, good, signer)
    tester = Signer.generate()
    report = smoke_test(package.path, TrustStore([signer.public_key]), QUICK)
    file = attest(report, package.path, tester)
    again = Package.open(package.path, TrustStore([signer.public_key]))
    assert again.digest == package.digest
    assert file.read_bytes() in again.envelopes
    assert again.signers == (signer.key_id,)

    trust, name = TrustStore([tester.public_key]), again.manifest.name
    (statement,) = trust.statements(again.digest, again.envelopes, TEST_PREDICATE_TYPE, name)
    assert statement["passed"] is True
    assert statement["figures"]["p99_us"] == report.figures["p99_us"]
    assert trust.statements("0" * 64, again.envelopes, TEST_PREDICATE_TYPE, name) == ()
    builder = TrustStore([signer.public_key])
    assert builder.statements(again.digest, again.envelopes, TEST_PREDICATE_TYPE, name) == ()
    with pytest.raises(UntrustedPackage, match="it states 'urn:gnomon:test:v1'"):
        Package.open(package.path, trust)


def test_what_this_machine_lacks_is_said_before_anything_is_loaded(tmp_path, good, signer):
    package = altered(tmp_path, good, signer, needs={"memory_mib": 1 << 40, "systems": ["plan9"]})
    report = smoke_test(package.path, None, QUICK)
    assert list(failed(report)) == ["needs"]
    assert "it needs plan9" in failed(report)["needs"]
    assert f"{1 << 40} MiB of memory; this machine has" in failed(report)["needs"]
    assert report.figures == {}


def test_answers_that_differ_are_found(tmp_path, good, signer):
    outputs = ({"minutes": -77.0}, *good.golden.outputs[1:])
    golden = msgspec.structs.replace(good.golden, outputs=outputs)
    report = smoke_test(altered(tmp_path, good, signer, golden=golden).path, None, QUICK)
    assert list(failed(report)) == ["golden"]
    assert "row 0: expected -77.0" in failed(report)["golden"]


def test_a_model_that_cannot_be_loaded_is_found(tmp_path, good, signer):
    package = altered(tmp_path, good, signer, model=b"no model")
    report = smoke_test(package.path, None, QUICK)
    assert list(failed(report)) == ["load"]
    assert "the file is not an ONNX model" in failed(report)["load"]


def test_too_slow_and_too_large_are_failures(tmp_path, good, signer):
    package = altered(tmp_path, good, signer, needs={"memory_mib": 1})
    report = smoke_test(package.path, None, Limits(runs=30, p99_us=0))
    assert list(failed(report)) == ["latency", "memory"]
    assert "at most 0 µs are allowed" in failed(report)["latency"]
    assert "the manifest says 1" in failed(report)["memory"]


def test_a_process_that_hangs_is_abandoned(good):
    report = smoke_test(good.path, None, Limits(timeout_seconds=0.01))
    assert failed(report) == {"load": "it was not done after 0.01 s"}


def test_a_library_of_another_version_is_reported(tmp_path, good, signer):
    pins = [{"name": "numpy", "version": "0.0.1"}, {"name": "no-such-thing", "version": "1"}]
    package = altered(tmp_path, good, signer, dependencies=pins)
    report = smoke_test(package.path, None, QUICK)
    assert report.passed
    told = next(check.detail for check in report.checks if check.name == "dependencies")
    assert "built with 0.0.1" in told
    assert "no-such-thing is not installed" in told


def test_what_is_damaged_is_not_tried(tmp_path, good, signer):
    package = altered(tmp_path, good, signer)
    (package.path / "model.onnx").write_bytes(b"x" * len(good.read_model()))
    with pytest.raises(PackageError, match="is not what was built"):
        smoke_test(package.path, None, QUICK)
    with pytest.raises(UntrustedPackage):
        smoke_test(good.path, TrustStore([Signer.generate().public_key]), QUICK)
    (package.path / MANIFEST).unlink()
    with pytest.raises(PackageError, match="has no manifest"):
        smoke_test(package.path, None, QUICK)


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (Needs(), []),
        (Needs(memory_mib=512, systems=("Linux",), cpu_features=("avx2",)), []),
        (Needs(memory_mib=513), ["513 MiB"]),
        (Needs(systems=("darwin", "windows")), ["darwin or windows"]),
        (Needs(cpu_features=("avx2", "amx")), ["features amx, which"]),
        (Needs(runtime_version="1.2"), []),
        (Needs(runtime_version=">=1.1.9"), []),
        (Needs(runtime_version="1.10"), ["Gnomon 1.10 or later"]),
        (Needs(runtime_version="2", memory_mib=1024), ["1024 MiB", "Gnomon 2"]),
    ],
)
def test_needs_are_held_against_a_machine(needs, told):
    found = unmet(needs, HERE)
    assert len(found) == len(told)
    assert all(text in one for text, one in zip(told, found, strict=True))


def test_features_that_a_system_does_not_report_are_not_taken_for_granted():
    unknown = dataclasses.replace(HERE, cpu_features=None)
    assert unmet(Needs(), unknown) == ()
    assert "does not report them" in unmet(Needs(cpu_features=("avx2",)), unknown)[0]
    here = this_machine()
    assert here.memory_mib > 0
    assert here.system
