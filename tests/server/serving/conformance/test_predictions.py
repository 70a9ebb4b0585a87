"""Every behaviour in the table of cases, at every frontend, by every client that can ask it."""

from typing import Any

import pytest

from gnomon.runtime.errors import WIRE
from tests.server.serving.conformance.asking import (
    GRPC_CLIENTS,
    HERE,
    REST_CLIENTS,
    Outcome,
    Worker,
    why_not,
)
from tests.server.serving.conformance.cases import CASES, Case
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

WAYS = [
    *((frontend, client) for frontend in GRPC_FRONTENDS for client in GRPC_CLIENTS),
    *(("rest", client) for client in REST_CLIENTS),
]


@pytest.mark.parametrize(("frontend", "client"), WAYS, ids=["-".join(way) for way in WAYS])
def test_every_case(house: House, worker: Worker, frontend: str, client: str) -> None:
    reason = why_not(client)
    if reason is not None:
        pytest.skip(reason)
    wrong = []
    for case in CASES:
        if client in case.unable:
            continue
        found = outcome(worker, client, house.address(frontend), case)
        wrong += [f"{case.name}: {told}" for told in differences(case, found)]
    assert not wrong, "\n".join(wrong)


def outcome(worker: Worker, client: str, address: str, case: Case) -> Outcome:
    if client in HERE:
        return HERE[client](address, case.ask)
    return worker.ask(client, address, case.ask)


def differences(case: Case, found: Outcome) -> list[str]:
    """Return what is not as the case says."""
    if case.code:
        return refusal_differences(case, found)
    if not found["ok"]:
        return [f"was refused: {found}"]
    told = []
    named = (found["model"], found["version"], found["id"])
    if named != (case.ask["model"], "1", case.ask["id"]):
        told.append(f"it calls itself {named}")
    for name, data in case.outputs.items():
        given = found["outputs"].get(name)
        if given is None or not same(given["data"], data):
            told.append(f"{name} is {str(given)[:200]}, not {str(data)[:200]}")
    for name, shape in case.shapes.items():
        if found["outputs"][name]["shape"] != shape:
            told.append(f"{name} has shape {found['outputs'][name]['shape']}, not {shape}")
    for name, words in case.parameters.items():
        if words not in str(found["parameters"].get(name)):
            told.append(f"parameter {name} is {found['parameters'].get(name)}, without {words}")
    return told


def refusal_differences(case: Case, found: Outcome) -> list[str]:
    if found["ok"]:
        return ["was answered"]
    codes = [*map(str, WIRE[case.code]), None]
    told = [] if found["code"] in codes else [f"code {found['code']} is none of {codes}"]
    if found.get("gnomon_code", case.code) != case.code:
        told.append(f"gnomon_code is {found['gnomon_code']}")
    if case.words not in found["message"]:
        told.append(f"message {found['message']!r} is without {case.words!r}")
    return told


def same(given: list[Any], data: list[Any]) -> bool:
    """Whether values are the same; a number that is none comes as null in JSON."""
    if len(given) != len(data):
        return False
    return all(
        (one is None or one != one) if two != two else one == pytest.approx(two)
        for one, two in zip(given, data, strict=True)
    )
