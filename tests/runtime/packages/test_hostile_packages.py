"""Packages made to harm: each is refused with its reason, and nothing ran or was written.

The worst case is taken: a key that is trusted here signed whatever the attacker put together.
"""

import json
import os
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gnomon.edge.installer import Installer
from gnomon.edge.kept_profiles import KeptProfiles
from gnomon.edge.sync_state import Step
from gnomon.proto import hub_pb2
from gnomon.runtime.engines import available_engines
from gnomon.runtime.errors import EngineError, GnomonError, PackageError, UntrustedPackage
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages import layout
from gnomon.runtime.packages.chunks import sha256, split
from gnomon.runtime.packages.manifest import CHUNK_BYTES
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.packages.slots import Slots
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.runtime import Runtime

Change = Callable[[dict[str, Any]], None]
DEEP = b"[" * 100_000 + b"]" * 100_000


@dataclass
class Target:
    """A good package, the one trusted key, and a folder beside which nothing may appear."""

    package: Package
    signer: Signer
    around: Path

    @property
    def trust(self) -> TrustStore:
        return TrustStore([self.signer.public_key])

    def sign(self) -> None:
        digest = sha256((self.package.path / layout.MANIFEST).read_bytes())
        envelope = self.signer.sign_package(digest, "eta", "1")
        for old in (self.package.path / layout.ATTESTATIONS).iterdir():
            old.unlink()
        (self.package.path / layout.ATTESTATIONS / "build.json").write_bytes(envelope)

    def add(self, name: str, content: bytes) -> None:
        (self.package.path / name).write_bytes(content)

    def manifest(self, change: Change) -> None:
        """Change the manifest, and sign it."""
        document = json.loads(self.package.manifest_bytes)
        change(document)
        (self.package.path / layout.MANIFEST).write_bytes(json.dumps(document).encode())
        self.sign()

    def file(self, name: str, content: bytes, **changes: Any) -> None:
        """Put a file in another's place, with true hashes, and sign it all."""
        (self.package.path / name).write_bytes(content)

        def change(manifest: dict[str, Any]) -> None:
            (entry,) = (one for one in manifest["files"] if one["path"] == name)
            entry["size"], entry["sha256"] = len(content), sha256(content)
            entry["chunks"] = [sha256(chunk) for chunk in split(content)]
            manifest.update(changes)

        self.manifest(change)

    def profile(self, change: Change) -> None:
        document = json.loads(self.package.read(layout.PROFILE))
        change(document)
        self.file(layout.PROFILE, json.dumps(document).encode())

    def names(self) -> set[str]:
        return {str(path.relative_to(self.around)) for path in self.around.rglob("*")}


@pytest.fixture
def target(package: Package, signer: Signer, tmp_path: Path) -> Target:
    return Target(package, signer, tmp_path)


class Gadget:
    """Runs a command where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


def external_data(path: str) -> bytes:
    """An ONNX model whose weights lie in a file that it names."""
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [5, 1], bytes(20), raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path), ("offset", "0"), ("length", "20")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["air_time"])],
        "external",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("air_time", TensorProto.FLOAT, ["N", 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def first_input(**changes: Any) -> Callable[[Target], None]:
    return lambda target: target.profile(lambda profile: profile["inputs"][0].update(changes))


def packing(value: Any) -> Callable[[Target], None]:
    return lambda target: target.manifest(lambda manifest: manifest.update(packing=value))


def rule(expression: str) -> Callable[[Target], None]:
    entry = {"name": "r", "expression": expression}
    return lambda target: target.profile(lambda profile: profile.update(rules=[entry]))


def grow(name: str, size: int) -> Callable[[Target], None]:
    """Make a file large without writing it; its entry stays, or nobody would read that far."""

    def attack(target: Target) -> None:
        with (target.package.path / name).open("r+b") as file:
            file.truncate(size)

    return attack


def deployment(**changes: Any) -> Callable[[Target], None]:
    return lambda target: target.manifest(lambda m: m["deployment"].update(changes))


ATTACKS: dict[str, tuple[Callable[[Target], None], str]] = {
    "a file that is larger than it says": (
        grow("model.onnx", 1 << 40),
        r"model.onnx has 1099511627776 bytes, expected \d+",
    ),
    "an attestation that is too large": (
        lambda t: t.add(f"{layout.ATTESTATIONS}/x.json", bytes(layout.ATTESTATION_LIMIT + 1)),
        "is larger than 262144 bytes",
    ),
    "a profile that is too large": (
        lambda t: t.file(layout.PROFILE, bytes(layout.TEXT_LIMIT + 1)),
        "profile.json is larger than 67108864 bytes",
    ),
    "golden samples nested without end": (
        lambda t: t.file(layout.GOLDEN, b'{"rows":[{"a":' + DEEP + b'}],"outputs":[{}]}'),
        "golden.json is not valid: maximum recursion depth",
    ),
    "a profile nested without end": (
        lambda t: t.file(layout.PROFILE, b'{"inputs":' + DEEP + b"}"),
        "profile.json is not valid JSON: maximum recursion depth",
    ),
    "a number that is no number": (
        lambda t: t.file(layout.GOLDEN, b'{"rows":[{"a":1e999}],"outputs":[{"b":1}]}'),
        "Number out of range",
    ),
    "a name of a megabyte": (first_input(name="x" * 1_000_000), "a name is 1 to 128 letters"),
    "a vector that would fill the memory": (
        first_input(kind="vector", shape=[1 << 40], minimum=None, maximum=None, unit=None),
        "shape",
    ),
    "a pattern that cannot be compiled": (
        first_input(kind="string", pattern="a{99999999999999}", minimum=None, maximum=None),
        "pattern",
    ),
    "a pattern that takes for ever": (
        first_input(kind="string", pattern="(a+)+", minimum=None, maximum=None, unit=None),
        r"pattern '\(a\+\)\+' repeats a part that itself has several ways to match",
    ),
    "a manifest of a newer program": (
        lambda t: t.manifest(lambda m: m.update(gnomon=2, unheard_of=True)),
        "has the form 2, and this Gnomon reads 1: a newer Gnomon is needed",
    ),
    "warm-up runs without end": (deployment(warm_up_runs=1 << 40), "warm_up_runs should be 0 to"),
    "windows without end": (deployment(window_seconds=1 << 62), "window_seconds should be 1 to"),
    "windows of no length": (deployment(window_seconds=0), "window_seconds should be 1 to"),
    "samples beyond all rows": (deployment(sample_permille=-1), "sample_permille should be 0 to"),
    "instances without end": (deployment(instances=1 << 20), "instances should be 1 to 64"),
    "a tensor of many axes": (
        lambda t: t.manifest(lambda m: m["signature"]["inputs"][0].update(shape=[-1] + [1] * 8)),
        "a shape should be at most 8 numbers",
    ),
    "a tensor of negative shape": (
        lambda t: t.manifest(lambda m: m["signature"]["inputs"][0].update(shape=[-7])),
        "a shape should be at most 8 numbers",
    ),
    "memory beyond all machines": (
        lambda t: t.manifest(lambda m: m["needs"].update(memory_mib=1 << 50)),
        "memory_mib should be 0 to",
    ),
    "a version of a million digits": (
        lambda t: t.manifest(lambda m: m["needs"].update(runtime_version="9" * 1_000_000)),
        "runtime_version should have at most",
    ),
    "a rule that calls the system": (
        rule("__import__('os').system('touch canary') > 0"),
        "unknown function; there are abs, log, min, max",
    ),
    "a rule that computes for ever": (rule("distance > 9**9**9"), "Pow is not part of"),
    "a packing of a field that is not there": (
        packing({"tensors": [{"name": "t", "dtype": "FP32", "features": [{"field": "x"}]}]}),
        "unknown field 'x'",
    ),
    "a packing that is no packing": (packing({"tensors": 7}), "cannot be used: 'int' object"),
    "an edge that is text": (
        lambda t: t.profile(lambda p: p["input_reference"]["fields"][0].update(mean="much")),
        "cannot be used|profile: ",
    ),
    "a model in a folder above": (
        lambda t: t.manifest(lambda m: m.update(model_file="../model.onnx")),
        "does not name",
    ),
    "a name that is a path": (
        lambda t: t.manifest(lambda m: m.update(version="1/../../x")),
        "does not match",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_package_is_refused_when_it_is_opened(target: Target, name: str) -> None:
    attack, reason = ATTACKS[name]
    attack(target)
    before = target.names()
    with pytest.raises(PackageError, match=reason) as refusal:
        Package.open(target.package.path, target.trust)
    assert not isinstance(refusal.value, UntrustedPackage)
    assert target.names() == before


def test_a_pickle_runs_neither_as_an_onnx_model_nor_unsigned(
    target: Target, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    gadget = pickle.dumps(Gadget(canary))
    target.file("model.onnx", gadget)
    with pytest.raises(EngineError, match="is not an ONNX model"):
        Model(Package.open(target.package.path, target.trust))
    target.file("model.onnx", gadget, format="sklearn")
    with pytest.raises(UntrustedPackage, match="runs code"):
        Package.open(target.package.path, None)
    with pytest.raises(UntrustedPackage, match="not signed by a trusted key"):
        Package.open(target.package.path, TrustStore([Signer.generate().public_key]))
    assert not canary.exists()


def test_a_model_cannot_name_files_outside_of_its_package(target: Target, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(20))
    for path in ("../secret", str(tmp_path / "secret"), "/etc/passwd"):
        target.file("model.onnx", external_data(path))
        with pytest.raises(EngineError, match="keeps its data in another file"):
            Model(Package.open(target.package.path, target.trust))


def test_a_package_of_an_unknown_signer_is_refused_before_its_manifest_is_read(
    target: Target,
) -> None:
    (target.package.path / layout.MANIFEST).write_bytes(b'{"packing":{"a":' + DEEP + b"}}")
    with pytest.raises(UntrustedPackage, match="another package"):
        Package.open(target.package.path, target.trust)
    target.sign()
    with pytest.raises(PackageError, match=r"manifest\.json is not valid: maximum recursion"):
        Package.open(target.package.path, target.trust)


class HostileHub:
    """Serves whatever blobs it is given, by whatever name: the seam of a node's link."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self._blobs = blobs

    def blobs(self, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for digest in digests:
            yield digest, self._blobs[digest]


def offer(target: Target, digest: str, version: str = "1") -> hub_pb2.DesiredState:
    envelope = target.signer.sign_package(digest, "eta", version)
    package = hub_pb2.PackageRef(
        name="eta", version=version, format="onnx", digest=digest, envelopes=[envelope]
    )
    return hub_pb2.DesiredState(generation=1, packages=[package])


def install(
    target: Target, blobs: dict[str, bytes], desired: hub_pb2.DesiredState, folder: str = "slots"
) -> None:
    """Take the steps of a node from the first to the last before anything is loaded."""
    slots = Slots(target.around / folder)
    profiles = KeptProfiles(target.around / f"{folder}-profiles")
    installer = Installer(slots, Runtime(MemorySink()), available_engines(), profiles)
    link: Any = HostileHub(blobs)
    for step in (Step.CHECK, Step.DOWNLOAD, Step.VERIFY):
        installer.execute_step(step, desired, link, target.trust)


def test_an_honest_hub_s_package_is_installed(target: Target) -> None:
    install(target, dict(target.package.iter_blobs()), offer(target, target.package.digest))
    slots = Slots(target.around / "slots")
    assert slots.installed() == {target.package.digest}


def outside(target: Target) -> set[str]:
    return {name for name in target.names() if not name.startswith("slots")}


@pytest.mark.parametrize(
    ("change", "version", "reason"),
    [
        (lambda m: None, "2", "the hub calls .* eta/2/onnx, its manifest eta/1/onnx"),
        (lambda m: m["files"][0].update(path="../../../evil"), "1", "not a plain relative path"),
        (lambda m: m["files"][0].update(path="/etc/evil"), "1", "not a plain relative path"),
        (lambda m: m["files"][0].update(path="attestations/x.json"), "1", "is kept for"),
        (lambda m: m["files"][0].update(size=1 << 50), "1", "are allowed"),
        (lambda m: m["files"][0]["chunks"].extend(m["files"][0]["chunks"] * 9_999), "1", "chunks"),
        (lambda m: m["files"][0].update(chunks=["../../etc/passwd"]), "1", "each named by its"),
        (lambda m: m.update(needs={"memory_mib": 1 << 40}), "1", "MiB of memory; this machine"),
        (lambda m: m.update(needs={"runtime_version": "999"}), "1", "Gnomon 999 or later"),
    ],
    ids=[
        "an older version offered as newer",
        "a path that climbs",
        "an absolute path",
        "a forged attestation",
        "a size without end",
        "one chunk ten thousand times",
        "a chunk that is a path",
        "more memory than there is",
        "a runtime that is not yet",
    ],
)
def test_a_hostile_hub_gets_nothing_onto_the_node(
    target: Target, change: Change, version: str, reason: str
) -> None:
    document = json.loads(target.package.manifest_bytes)
    change(document)
    manifest = json.dumps(document).encode()
    if json.loads(target.package.manifest_bytes) == document:
        manifest = target.package.manifest_bytes
    digest = sha256(manifest)
    before = outside(target)
    with pytest.raises(GnomonError, match=reason):
        install(
            target,
            dict(target.package.iter_blobs()) | {digest: manifest},
            offer(target, digest, version),
        )
    assert outside(target) == before
    assert Slots(target.around / "slots").installed() == frozenset()


def test_a_hub_that_sends_other_bytes_is_refused(target: Target) -> None:
    blobs, digest = dict(target.package.iter_blobs()), target.package.digest
    lies = [{one: data[:-1] + b"!"} for one, data in blobs.items()]
    for number, lie in enumerate([*lies, {digest: bytes(CHUNK_BYTES * 64)}]):
        with pytest.raises(PackageError, match="blob hash mismatch: expected SHA-256"):
            install(target, blobs | lie, offer(target, digest), f"slots-{number}")
        assert Slots(target.around / f"slots-{number}").installed() == frozenset()


ODD = (None, True, -1, 2**63, 1.5, -1e308, "", "x", "category", [], {}, ["a"], [[]], {"a": 1})


def positions(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(node, dict | list):
        children = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in children:
            yield from positions(child, (*path, key))


def disturb(document: Any, seed: int) -> Any:
    """Put something odd in the place of any part, or take it away."""
    rng, document = random.Random(seed), deepcopy(document)
    *above, last = rng.choice(list(positions(document)))
    node = document
    for key in above:
        node = node[key]
    if rng.random() < 0.2:
        del node[last]
    else:
        node[last] = deepcopy(rng.choice(ODD))
    return document


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32), part=st.sampled_from(["manifest", layout.PROFILE, layout.GOLDEN])
)
def test_whatever_a_signed_package_says_it_is_usable_or_refused(
    target: Target, seed: int, part: str
) -> None:
    path, original = target.package.path, dict(_read(target.package))
    try:
        if part == "manifest":
            document = disturb(json.loads(target.package.manifest_bytes), seed)
            (path / layout.MANIFEST).write_bytes(json.dumps(document).encode())
            target.sign()
        else:
            target.file(part, json.dumps(disturb(json.loads(original[part]), seed)).encode())
        try:
            model = Model(Package.open(path, target.trust))
        except (PackageError, EngineError):
            return
        model.close()
    finally:
        for name, content in original.items():
            (path / name).write_bytes(content)


def _read(package: Package) -> Iterator[tuple[str, bytes]]:
    for entry in package.manifest.files:
        yield entry.path, package.read(entry.path)
