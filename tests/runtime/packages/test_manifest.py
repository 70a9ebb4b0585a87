"""Manifests of the first release keep their bytes, and so their digests."""

import hashlib

import msgspec
import pytest

from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.manifest import CardSections, decode_manifest, encode_manifest

#: What the first release wrote, key by key, with each default said.
FIRST = {
    "card": "a card",
    "dependencies": [{"hashes": [], "name": "numpy", "version": "2.4.6"}],
    "deployment": {"sample_permille": 1000, "warm_up_runs": 3, "window_seconds": 86400},
    "files": [{"chunks": ["ab"], "path": "model.onnx", "sha256": "cd", "size": 3}],
    "format": "onnx",
    "gnomon": 1,
    "licence": "",
    "model_file": "model.onnx",
    "name": "eta",
    "needs": {"cpu_features": [], "memory_mib": 0, "runtime_version": "", "systems": []},
    "output_tensors": ["y"],
    "owner": "",
    "packing": {"tensors": []},
    "reproducibility": {
        "code_clean": True,
        "code_version": "git:1",
        "dataset_fingerprint": "rows-1:00",
        "dataset_uri": "a.csv",
        "parameters": {},
        "seed": 0,
        "split": {"kind": "none"},
        "test_metrics": {"mae": 1.5},
    },
    "risk_tier": "low",
    "signature": {
        "inputs": [{"datatype": "FP64", "name": "x", "shape": [-1, 1]}],
        "outputs": [{"datatype": "FP64", "name": "y", "shape": [-1, 1]}],
    },
    "version": "1",
}
WRITTEN = msgspec.json.format(msgspec.json.encode(FIRST, order="sorted"), indent=2)


def test_a_manifest_of_the_first_release_has_the_digest_that_it_had():
    digest = "9b4dacd2ef697cf96ef68aea555b180c62bbb0ab431d188dd071ee6696c8c455"
    assert hashlib.sha256(WRITTEN).hexdigest() == digest
    assert encode_manifest(decode_manifest(WRITTEN)) == WRITTEN


def test_what_came_later_is_there_only_where_it_is_set():
    manifest = decode_manifest(WRITTEN)
    later = msgspec.structs.replace(
        manifest,
        card_sections=CardSections(limits="few"),
        reproducibility=msgspec.structs.replace(
            manifest.reproducibility, test_metrics_by_segment={"a=1": {"mae": 2.0}}
        ),
    )
    document = msgspec.json.decode(encode_manifest(later))
    assert document["card_sections"] == {"limits": "few"}
    assert decode_manifest(encode_manifest(later)) == later
    document["card_sections"]["nonsense"] = ""
    with pytest.raises(PackageError, match=r"nonsense.*card_sections"):
        decode_manifest(msgspec.json.encode(document))
