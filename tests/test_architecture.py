"""Imports run down only, at every level, and every name that a module promises is there."""

import ast
import importlib
import pkgutil
import sys

import pytest

import gnomon
from tests.support.import_graph import (
    ROOT,
    cycles,
    imports,
    packages,
    part_of,
    parts_imported,
    public_classes,
    sources,
)

#: The order of the parts of each package that has sub-packages, from the bottom: a part imports
#: only from lines above its own. Parts of one line do not import each other.
ORDER: dict[str, tuple[str, ...]] = {
    "gnomon": (
        "core proto",
        "runtime",
        "client edge",
        "pipeline",
        "server",
        "logs",
        "delivery",
        "bench configuration demo",
        "command",
        "__main__",
    ),
    "gnomon.runtime": (
        "errors extras ids latency limits stop_signals",
        "clock decoding files isolation notebook raw_tensors tables webhooks wire",
        "audit_chain local_hub lock prediction state_file",
        "packages",
        "trust",
        "enrolment routing",
        "engines",
        "models",
        "recording",
        "raw_models",
        "predicting",
        "sleeping",
        "route_table",
        "route_service",
        "runtime",
        "table_prediction",
    ),
    "gnomon.runtime.raw_models": (
        "trees probe raw_model_parts zip_map",
        "model_file",
        "derived_packing derived_tensors trial_rows",
        "raw_model",
        "finding",
    ),
    "gnomon.core": (
        "blake2b csv_records field_reference kinds pattern_cost row row_hash string_index trees",
        "cells field_settings",
        "field_checks reference",
        "fields distances",
        "expression",
        "contract window",
        "packing profiling",
        "detectors",
    ),
    "gnomon.edge": (
        "backoff daemon_settings desired_checks examination_worker heartbeats kept_profiles "
        "label_record machine_facts partial_state route_trial settings status_file step_thread",
        "examination sync_state",
        "sync",
        "audit_watch listed_packages telemetry trust_state",
        "inspection node_threads trust",
        "node_warnings status",
        "installer node_protocol",
        "status_writer sync_executor",
        "hub_reporter",
        "node_status",
        "node",
        "standalone",
        "agent",
    ),
    "gnomon.client": ("hub_failures", "hub inference registry"),
    "gnomon.command": (
        "failures shared",
        "agent batch bench config dataset demo hub key package pipeline predict registry serve "
        "stream trust",
        "root",
    ),
    "gnomon.pipeline": (
        "bom class_metrics datasets environment metrics pmml proofs",
        "build profiles",
        "batch formats recipes",
        "estimator_package rebuild steps",
    ),
    "gnomon.delivery": (
        "run_sender smoke_test_worker worker_process",
        "pipeline_watch replay smoke_test",
        "publishing",
    ),
    "gnomon.bench": (
        "core drift_detection generator models peers",
        "data honest load servers",
        "conform generator_peers",
        "hub",
        "attacks commits",
    ),
    "gnomon.server": ("rest", "serving hub streams"),
    "gnomon.server.rest": (
        "certificates ciphers connection_limit docs head hosts listening problem_schema",
        "handshake_watch problems tls",
        "bounded_http",
        "port",
    ),
    "gnomon.server.serving": (
        "rate_limits token_settings compression labels missing_rows parameters route_path",
        "settings infer_execution tensors call_timer triton",
        "admission grpc_listener executor_selector responses",
        "handler",
        "health methods observing",
        "stream_messages grpc_trailers",
        "native grpcio rest",
        "select_frontend",
        "process socket_server",
    ),
    "gnomon.server.streams": (
        "connectors lines file_progress settings",
        "files kafka nats scoring",
        "addresses consumer",
        "process",
    ),
    "gnomon.server.hub": (
        "store",
        "alert_kinds oidc_settings",
        "settings",
        "placements webhooks",
        "access monitoring",
        "doctor epoch_file",
        "backup",
        "trust versions",
        "ingest metadata_check transfer",
        "fleet services",
        "grpc rollout",
        "rest task_loop",
        "web",
        "application state",
        "process",
    ),
    "gnomon.server.hub.store": (
        "clock dialect failures limits rights rollout_state text",
        "tables",
        "schema",
        "blob_sweeps counters migrations named_blobs",
        "audit",
        "change",
        "database",
        "blob_rows decisions",
        "blobs",
    ),
}

#: Part → the parts of gnomon that it may import, besides itself.
ALLOWED = {
    "core": set(),
    "proto": set(),
    "runtime": {"core", "proto"},
    "edge": {"core", "proto", "runtime"},
    "server": {"core", "proto", "runtime", "edge"},
    "pipeline": {"core", "proto", "runtime"},
    "client": {"core", "proto", "runtime"},
    # A builder is no node: what both need to call a hub lies in the runtime.
    "delivery": {"core", "proto", "runtime", "pipeline", "client"},
    # What is measured as users meet it is requested through the clients that users have.
    "bench": {
        *("core", "proto", "runtime", "edge", "server", "pipeline"),
        *("client", "logs"),
    },
}


#: Name of several public classes → why they share it. None of them may be imported as the other.
SHARED_NAMES: dict[str, str] = {}


@pytest.mark.parametrize("folder", ALLOWED)
def test_the_folders_import_down_only(folder: str) -> None:
    upward = [
        line
        for part, line in parts_imported("gnomon").get(folder, {}).items()
        if part not in ALLOWED[folder]
    ]
    assert not upward


@pytest.mark.parametrize("package", packages())
def test_no_parts_of_a_package_import_each_other(package: str) -> None:
    edges = parts_imported(package)
    lines = [
        edges[part][other]
        for group in cycles(edges)
        for part in sorted(group)
        for other in sorted(group & edges[part].keys())
    ]
    assert not lines


def test_every_package_with_packages_inside_has_an_order() -> None:
    has_packages = {package.rpartition(".")[0] for package in packages()}
    # Alembic loads its scripts by their place.
    by_alembic = "gnomon.server.hub.store.migrations"
    assert has_packages - {"", by_alembic} <= ORDER.keys()


@pytest.mark.parametrize("package", ORDER)
def test_an_order_names_each_part_once(package: str) -> None:
    named = " ".join(ORDER[package]).split()
    parts = {part_of(name, package) for name in sources()} - {""}
    assert sorted(named) == sorted(parts)


@pytest.mark.parametrize("package", ORDER)
def test_the_parts_of_a_package_keep_their_order(package: str) -> None:
    lines = [line.split() for line in ORDER[package]]
    place = {part: number for number, line in enumerate(lines) for part in line}
    upward = [
        line
        for part, imported in parts_imported(package).items()
        for other, line in imported.items()
        if part in place and other in place and place[other] >= place[part]
    ]
    assert not upward


def test_no_two_classes_share_a_name() -> None:
    shared = {name: found for name, found in public_classes().items() if len(found) > 1}
    assert shared.keys() == SHARED_NAMES.keys(), shared


def test_core_needs_numpy_only() -> None:
    standard_and_numpy = {"numpy", "numba", "gnomon"} | sys.stdlib_module_names
    paths = [
        path
        for name, paths in sources().items()
        if part_of(name, "gnomon") == "core"
        for path in paths
        if path.suffix == ".py"
    ]
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                top = node.module.split(".")[0]
            elif isinstance(node, ast.Import):
                top = node.names[0].name.split(".")[0]
            else:
                continue
            assert top in standard_and_numpy, f"{path.relative_to(ROOT)}: {top}"


def test_the_graph_sees_python_and_cython() -> None:
    assert "gnomon.core.row" in imports()["gnomon.core.window.window"]
    assert "gnomon.runtime.errors" in imports()["gnomon.edge.sync"]
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset({"b", "c"})}


def modules() -> list[str]:
    return [
        info.name
        for info in pkgutil.walk_packages(gnomon.__path__, "gnomon.")
        if not info.name.startswith("gnomon.proto.") and not info.name.endswith("__main__")
    ]


def test_every_promised_name_is_there() -> None:
    # tritonclient registers the protocol's messages under the same names as our stubs do.
    needs_a_process_of_its_own = {"gnomon.demo.caller"}
    for name in modules():
        if "migrations" in name or name.startswith("gnomon.bench"):
            continue
        if name in needs_a_process_of_its_own:
            continue
        module = importlib.import_module(name)
        for promised in getattr(module, "__all__", []):
            assert hasattr(module, promised), f"{name}.{promised}"
