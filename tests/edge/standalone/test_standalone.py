"""A node without a hub: bare files, versions, a route file that changes, what is refused."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.standalone_node import StandaloneNode, open_node
from gnomon.runtime.errors import ConfigurationError, Conflict, UnknownModel, UntrustedPackage
from gnomon.runtime.models import batching_benefit
from gnomon.runtime.packages.signing import Signer, TrustStore
from gnomon.runtime.packages.versioning import VersionPolicy
from tests.support.packages import linear_onnx, make_package
from tests.support.waiting import wait_for

ROW = {"features_0": 1.0, "features_1": 1.0}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of the versions 1, 2 and 3 of `linear`, which multiply by their number."""
    for version in (1, 2, 3):
        path = tmp_path / "models" / "linear" / str(version) / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes(linear_onnx([float(version), 0.0], 0.0))
    return tmp_path / "models"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., StandaloneNode]]:
    nodes: list[StandaloneNode] = []

    def make(*paths: Path, routes: str | None = None, **options: Any) -> StandaloneNode:
        if routes is not None:
            options["routes_file"] = tmp_path / "routes.toml"
            options["routes_file"].write_text(routes)
        nodes.append(StandaloneNode("here", paths, options.pop("trust", None), **options))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()


def answers(node: StandaloneNode, **options: Any) -> Any:
    return node.runtime.predict("linear", ROW, **options).outputs["air_time"]


def test_a_bare_file_is_served_and_says_what_it_lacks(
    make: Callable[..., StandaloneNode], models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        node = make(models / "linear" / "2" / "model.onnx")
    (said,) = [one.getMessage() for one in caplog.records if "bare file" in one.getMessage()]
    assert said.startswith("model@1 is the bare file ")
    assert "(features_0 FP32, features_1 FP32), without ranges" in said
    assert node.runtime.predict("model", ROW).outputs == {"air_time": 2.0}
    with pytest.raises(UntrustedPackage, match="a bare file without a signature"):
        make(models / "linear" / "2", trust=TrustStore([bytes(32)]))


def test_the_newest_version_answers_and_others_by_policy(
    make: Callable[..., StandaloneNode], models: Path
) -> None:
    node = make(models)
    assert answers(node) == 3.0
    with pytest.raises(UnknownModel, match="no version '1' in service; there are 3"):
        answers(node, version="1")
    assert [(one.version, one.is_ready) for one in node.index()] == [
        ("1", False),
        ("2", False),
        ("3", True),
    ]
    every = make(models, policy=VersionPolicy.parse("all"))
    assert [answers(every, version=one) for one in ("", "1", "2", "3")] == [3.0, 1.0, 2.0, 3.0]


def test_a_route_file_says_who_answers(make: Callable[..., StandaloneNode], models: Path) -> None:
    node = make(
        models,
        routes="""
        [routes.linear]
        targets = {"linear@1" = 600, "linear@2" = 400}
        versions = "specific:3"
        fallback = [{rule = {air_time = "features_0 + 20"}}, {constant = {air_time = 7}}]
        """,
    )
    given = [answers(node) for _ in range(200)]
    assert set(given) == {1.0, 2.0}
    assert answers(node, version="3") == 3.0
    assert len(node.runtime.routes["linear"].fallbacks) == 2


@pytest.mark.slow
def test_a_changed_file_switches_there_and_back_and_a_bad_one_changes_nothing(
    make: Callable[..., StandaloneNode],
    models: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def routes(version: object) -> str:
        return f'[routes.linear]\ntargets = {{"linear@{version}" = 1000}}\n'

    node = make(models, routes=routes(1))
    node.start()
    file = tmp_path / "routes.toml"
    for version in (2, 1):
        file.write_text(routes(version))
        wait_for(lambda version=version: answers(node) == version)
    for bad, message in (
        ("[routes.linear", "cannot be used"),
        (routes(9), "there is no linear@9 here; there are linear@1"),
        ('[routes.linear]\ntargets = {"linear@2" = 10}', "add up to 10"),
        ('[routes.linear]\ntargets = {"linear" = 1000}', "should be NAME@VERSION"),
        ('[routes.linear]\ntargets = {"linear@1" = 1000}\nextra = 1', "unknown field"),
        (routes(2) + "fallback = [{}]", "a fallback should be a package"),
        (routes(2) + "fallback = [{constant = {}}]", "expected each of its outputs"),
    ):
        caplog.clear()
        file.write_text(bad)
        wait_for(lambda message=message: message in caplog.text)
        assert "nothing was changed" in caplog.text
        assert answers(node) == 1.0
        assert len(node.runtime.models) == 1


def test_models_are_abandoned_and_taken_again(
    make: Callable[..., StandaloneNode], models: Path
) -> None:
    node = make(models)
    node.unload("linear")
    assert not node.runtime.models
    assert {one.reason for one in node.index()} == {"not chosen", "unloaded"} - {"not chosen"}
    newer = models / "linear" / "4" / "model.onnx"
    newer.parent.mkdir()
    newer.write_bytes(linear_onnx([4.0, 0.0], 0.0))
    node.load("linear")
    assert answers(node) == 4.0
    newer.write_bytes(b"nothing")
    assert not node.reload()
    assert answers(node) == 4.0
    for ask in (node.load, node.unload):
        with pytest.raises(UnknownModel, match="there is no model 'other' here; there are linear"):
            ask("other")


def test_what_is_there_twice_or_not_at_all_is_refused(
    make: Callable[..., StandaloneNode], models: Path, tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="linear@1 is there twice"):
        make(models, models / "linear")
    with pytest.raises(ConfigurationError, match="does not exist"):
        make(tmp_path / "nothing.onnx")


def test_a_route_file_sets_how_a_model_runs(
    make: Callable[..., StandaloneNode],
    models: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No pause of a busy machine makes a row alone take so long.
    monkeypatch.setattr(batching_benefit, "GATHERING_NS", 10**12)
    table = "[models.linear]\nbatching = {max_rows = 8}\ninstances = 2"
    with caplog.at_level(logging.INFO):
        node = make(models, routes=table)
    (model,) = node.runtime.models.values()
    assert model.instances == 2
    assert "linear@3 is not batched" in caplog.text
    for bad, message in (("instances = 99", "1 to 64"), ("batching = {max_rows = 0}", "2 to 4096")):
        with pytest.raises(ConfigurationError, match=message):
            make(models, routes=f"[models.linear]\n{bad}")


@pytest.mark.parametrize(
    ("models", "is_served"), [(None, True), ("*", True), ("et*", True), ("toy-*", False)]
)
def test_a_trusted_key_counts_for_its_models_alone(
    tmp_path: Path, models: str | None, is_served: bool
) -> None:
    signer = Signer.generate()
    make_package(tmp_path / "eta", signer)
    key = signer.public_key.hex() + ("" if models is None else f"={models}")
    settings = NodeSettings(packages=(tmp_path / "eta",), trusted_keys=(key,))
    if is_served:
        open_node(settings).stop()
    else:
        with pytest.raises(UntrustedPackage, match=r"signs for toy-\*"):
            open_node(settings)


@pytest.mark.parametrize("key", ["xy", "ab", "ab" * 32 + "=", "ab" * 32 + "=a b", "=*"])
def test_a_malformed_trusted_key_is_named(tmp_path: Path, key: str) -> None:
    settings = NodeSettings(packages=(tmp_path,), trusted_keys=(key,))
    with pytest.raises(ConfigurationError, match="trusted_keys should be Ed25519 keys"):
        open_node(settings)
