"""Packages come in whole and verified, or not at all, and never change."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import (
    Conflict,
    InvalidInput,
    PackageError,
    UntrustedPackage,
)
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from tests.support.packages import linear_onnx

pytestmark = pytest.mark.both_databases

Make = Callable[..., Package]


def find_missing(builder: Any, digests: list[str]) -> list[str]:
    request = hub_pb2.FindMissingRequest(digests=digests)
    return list(builder.registry.FindMissing(request, timeout=20).digests)


def test_a_package_is_published_once_and_listed(builder: Any, caller: Any, make: Make) -> None:
    package = make()
    digests = [digest for digest, _ in package.iter_blobs()]
    assert find_missing(builder, digests) == list(dict.fromkeys(digests))

    first = builder.publish(package)
    assert first.created
    assert (first.package.name, first.package.version) == ("eta", "1")
    assert first.package.digest == package.digest
    assert list(first.package.envelopes) == list(package.envelopes)
    assert find_missing(builder, digests) == []
    assert not builder.publish(package).created

    (listed,) = caller.get("models/eta/versions")
    assert listed["digest"] == package.digest
    assert listed["publisher"] == "ada"
    assert listed["manifest"]["reproducibility"]["dataset_fingerprint"] == "f" * 64
    (model,) = caller.get("models")
    assert (model["name"], model["versions"], model["version_count"]) == ("eta", ["1"], 1)
    assert (model["in_service"], model["environments"]) == (None, {})
    actions = [record["action"] for record in caller.get("audit")]
    assert actions.count("publish") == 1


def test_every_blob_comes_back_as_it_went_in(builder: Any, make: Make) -> None:
    package = make()
    builder.publish(package)
    blobs = dict(package.iter_blobs())
    assert builder.blobs(*blobs) == list(blobs.values())


def test_a_version_never_changes(builder: Any, make: Make) -> None:
    builder.publish(make())
    other = make(model=linear_onnx([1.0, 0.0, 0.0, 0.0, 0.0], 1.0))
    with pytest.raises(Conflict, match=r"eta@1 \(onnx\) is published already"):
        builder.publish(other)


def test_a_version_has_one_package_a_format(builder: Any, caller: Any, make: Make) -> None:
    builder.publish(make())
    builder.publish(make(format="tflite"))
    formats = [listed["format"] for listed in caller.get("models/eta/versions")]
    assert sorted(formats) == ["onnx", "tflite"]


@pytest.mark.parametrize("lost", ["manifest", "chunk"])
def test_what_is_missing_is_named(builder: Any, make: Make, lost: str) -> None:
    package = make()
    blobs = list(package.iter_blobs())
    gone = blobs.pop(0 if lost == "manifest" else -1)
    builder.put(*blobs)
    with pytest.raises(PackageError, match=gone[0]):
        builder.publish_digest(package.digest, *package.envelopes)


def test_an_untrusted_package_is_refused(builder: Any, make: Make) -> None:
    with pytest.raises(UntrustedPackage, match="not signed by a trusted key"):
        builder.publish(make(signer=Signer.generate()))


def test_a_revoked_key_counts_no_more(
    builder: Any, caller: Any, make: Make, signer: Signer
) -> None:
    package = make()
    caller.http.delete(f"/api/v1/keys/{signer.public_key.hex()}").raise_for_status()
    with pytest.raises(UntrustedPackage):
        builder.publish(package)


def test_a_manifest_that_names_no_model_is_refused(builder: Any, make: Make) -> None:
    package = make()
    manifest = package.manifest_bytes.replace(b'"model.onnx"', b'"other.onnx"', 1)
    builder.put(*package.iter_blobs(), (sha256(manifest), manifest))
    with pytest.raises(PackageError, match="does not name"):
        builder.publish_digest(sha256(manifest), *package.envelopes)


@pytest.mark.parametrize(
    ("digest", "data", "reason"),
    [
        ("../../../etc/passwd", b"x", "not a digest"),
        ("A" * 64, b"x", "not a digest"),
        ("0" * 64, b"x", "not what it says"),
        (sha256(bytes((1 << 20) + 1)), bytes((1 << 20) + 1), "at most"),
    ],
)
def test_a_false_blob_is_refused(builder: Any, digest: str, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        builder.put((digest, data))


def test_of_two_publishers_one_wins_and_the_other_is_refused(
    caller: Any, builder: Any, make: Make
) -> None:
    other = caller.enrol("builder", "grace")
    rivals = [make(), make(model=linear_onnx([1.0, 0.0, 0.0, 0.0, 0.0], 1.0))]
    outcomes: list[object] = []

    def publish(party: Any, package: Package) -> None:
        try:
            outcomes.append(party.publish(package).created)
        except Conflict as error:
            outcomes.append(type(error))

    threads = [
        threading.Thread(target=publish, args=pair)
        for pair in zip([builder, other], rivals, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, outcomes)) == sorted(map(str, [True, Conflict]))
    assert len(caller.get("models/eta/versions")) == 1
