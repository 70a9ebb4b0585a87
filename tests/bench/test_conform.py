"""The conformance suite: our frontends pass it, and a server that answers anything does not."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.bench.conform.case import DELETED, ConformanceCase, Expected, apply_edits
from gnomon.bench.conform.subject import Reply, Subject, find_subject
from gnomon.bench.conform.suite import CaseOutcome, CaseResult, assess, cases_of, run_suite
from gnomon.bench.generator.loops import missing_library
from gnomon.bench.honest.answers import MODEL
from gnomon.bench.honest.law import ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.load.model_client import ServedModel, ServedTensor
from gnomon.bench.load.target import parse_target
from tests.server.serving.conformance.house import House
from tests.support.packages import make_package

ETA = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
OUTPUT = {"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1.0]}
GOOD = {"model_name": "m", "id": "1", "outputs": [OUTPUT]}
ANSWERED, REFUSED, EITHER = Expected


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House([make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)])
    yield running
    running.close()


def url(house: House, frontend: str) -> str:
    return f"{'http' if frontend == 'rest' else 'grpc'}://{house.address(frontend)}"


def subject_of(scheme: str, model: ServedModel) -> Subject:
    return Subject(parse_target(f"{scheme}://127.0.0.1:1"), model, "1", GOOD, GOOD, True)


def bad(results: list[CaseResult]) -> list[tuple[str, str, str]]:
    return [
        (one.case.name, one.outcome.value, one.note)
        for one in results
        if one.outcome is not CaseOutcome.PASSED
    ]


@pytest.mark.parametrize("frontend", ["native", "grpcio", "rest"])
def test_our_frontends_pass_every_case(house: House, frontend: str) -> None:
    subject = find_subject(parse_target(url(house, frontend)), "eta", [ETA])
    assert bad(run_suite(subject, lambda _: None)) == []


@pytest.mark.skipif(missing_library() is not None, reason=str(missing_library()))
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_answers_anything_fails_each_case_that_is_to_be_refused(scheme: str) -> None:
    with HonestServer(ServiceLaw(scale=0.0)) as server:
        subject = find_subject(parse_target(f"{scheme}://{server.address}"), MODEL)
        results = run_suite(subject, lambda _: None)
    outcomes = {one.case.name: one.outcome for one in results}
    infer = ("ModelInfer", "typed", "POST /v2/models/{model}/infer")
    for one in results:
        if one.case.expected is REFUSED and one.case.call in infer:
            assert outcomes[one.case.name] is CaseOutcome.FAILED, one.case.name
    # It gives back no id, and its health is as it should be.
    assert outcomes[f"{'rest' if scheme == 'http' else 'grpc'}-id-word"] is CaseOutcome.FAILED
    assert outcomes[f"{'rest' if scheme == 'http' else 'grpc'}-live"] is CaseOutcome.PASSED


def test_there_are_enough_cases_and_each_has_its_name() -> None:
    tensors = (ServedTensor("y", "FP64", (-1, 1)),)
    model = ServedModel("m", tensors, tensors)
    names = [
        case.name
        for scheme in ("grpc", "http")
        for case in cases_of(subject_of(scheme, model))
        if case.name != "answers-after-all-of-this"
    ]
    assert len(names) >= 300
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize(
    ("case", "reply", "outcome"),
    [
        (ANSWERED, Reply("200", True, False, GOOD, None), "passed"),
        (ANSWERED, Reply("422", False, True, {"error": "no"}, "no"), "failed"),
        (ANSWERED, Reply("200", True, False, None, None), "failed"),
        (ANSWERED, Reply("200", True, False, [], None), "failed"),
        (
            ANSWERED,
            Reply("200", True, False, {"outputs": [{**OUTPUT, "data": []}]}, None),
            "failed",
        ),
        (REFUSED, Reply("200", True, False, GOOD, None), "failed"),
        (REFUSED, Reply("422", False, True, {"error": "no"}, "no"), "passed"),
        (REFUSED, Reply("500", False, False, {"error": "no"}, "no"), "advice"),
        (REFUSED, Reply("422", False, True, {"detail": "no"}, None), "failed"),
        (EITHER, Reply("200", True, False, GOOD, None), "passed"),
        (EITHER, Reply("404", False, True, {"error": "no"}, "no"), "passed"),
    ],
)
def test_a_reply_is_held_against_what_is_expected(
    case: Expected, reply: Reply, outcome: str
) -> None:
    checks = {ANSWERED: "outputs_sized", REFUSED: "error", EITHER: ""}
    model = ServedModel("m", (), (ServedTensor("y", "FP64", (-1, 1)),))
    subject = subject_of("http", model)
    made = ConformanceCase("x", "x", "POST /x", case, {}, check=checks[case])
    assert assess(made, reply, subject).outcome == outcome


def test_a_case_that_needs_a_version_or_a_number_is_skipped_without_one(house: House) -> None:
    subject = find_subject(parse_target(url(house, "rest")), "eta", [ETA])
    without = Subject(subject.target, subject.model, None, subject.good, subject.typed, False)
    results = {one.case.name: one.outcome for one in run_suite(without, lambda _: None)}
    assert results["rest-version-ready"] is CaseOutcome.SKIPPED
    assert results["rest-value-INT8-above"] is CaseOutcome.SKIPPED
    assert results["rest-live"] is CaseOutcome.PASSED


@given(st.dictionaries(st.sampled_from("abc"), st.integers()), st.integers())
def test_edits_leave_the_good_request_alone(members: dict[str, int], value: int) -> None:
    good = {**members, "inputs": [{"name": "x", "shape": [1]}], "gone": 1}
    changed = apply_edits(
        good,
        {
            **{"a": value, "gone": DELETED, "inputs.0.shape": lambda one: [*one, 2]},
            "inputs.+": lambda inputs: inputs[0],
        },
    )
    assert changed["a"] == value
    assert "gone" not in changed
    assert changed["inputs"] == [{"name": "x", "shape": [1, 2]}] * 2
    assert good == {**members, "inputs": [{"name": "x", "shape": [1]}], "gone": 1}


def test_the_command_reports_by_clause_and_exits_with_1_if_a_case_failed(
    house: House, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(ETA))
    command = [sys.executable, "-m", "gnomon", "bench", "conform", url(house, "rest"), "eta"]
    done = subprocess.run(
        [*command, "--rows", str(rows), "--json"], capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["counts"]["failed"]) == (0, 0)
    assert sum(report["counts"].values()) == len(report["cases"])
    assert report["clauses"]["Health"]["passed"] > 0
