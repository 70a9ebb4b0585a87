"""The suite: every case against a server, and what came of each."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gnomon.bench.conform.case import ConformanceCase, Expected
from gnomon.bench.conform.checks import problem_of
from gnomon.bench.conform.grpc_cases import grpc_cases
from gnomon.bench.conform.rest_cases import rest_answered_cases
from gnomon.bench.conform.rest_refused_cases import rest_refused_cases
from gnomon.bench.conform.subject import Reply, Subject

__all__ = ["CaseOutcome", "CaseResult", "cases_of", "conform_report", "run_suite"]


class CaseOutcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    #: The specification is kept, but the error blames the server for the caller's fault.
    ADVICE = "advice"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class CaseResult:
    """A case, how it ended, and why."""

    case: ConformanceCase
    outcome: CaseOutcome
    note: str = ""


def cases_of(subject: Subject) -> list[ConformanceCase]:
    """Return the cases for a server's protocol, and at the end a good request again."""
    outputs = tuple(one.name for one in subject.model.outputs)
    if subject.target.is_grpc:
        cases = [*grpc_cases(outputs)]
    else:
        cases = [*rest_answered_cases(outputs), *rest_refused_cases()]
    call = "ModelInfer" if subject.target.is_grpc else "POST /v2/models/{model}/infer"
    last = ConformanceCase(
        "answers-after-all-of-this", "Errors", call, Expected.ANSWERED, {}, check="has_outputs"
    )
    return [*cases, last]


def run_suite(subject: Subject, show: Callable[[CaseResult], None]) -> list[CaseResult]:
    """Run every case, one after the other; call `show` after each."""
    results = []
    for case in cases_of(subject):
        result = run_case(subject, case)
        show(result)
        results.append(result)
    return results


def run_case(subject: Subject, case: ConformanceCase) -> CaseResult:
    """Make the call of a case and hold the reply against the specification."""
    why = _why_skipped(subject, case)
    if why is not None:
        return CaseResult(case, CaseOutcome.SKIPPED, why)
    reply = subject.send(case)
    if isinstance(reply, str):
        return CaseResult(case, CaseOutcome.FAILED, reply)
    return assess(case, reply, subject)


def assess(case: ConformanceCase, reply: Reply, subject: Subject) -> CaseResult:
    """Decide from the reply alone how a case ended."""
    said = f"{reply.status}" + (f": {reply.error[:120]}" if reply.error else "")
    if case.expected is Expected.ANSWERED and not reply.is_good:
        return CaseResult(case, CaseOutcome.FAILED, f"should be answered; it was {said}")
    if case.expected is Expected.REFUSED and reply.is_good:
        return CaseResult(case, CaseOutcome.FAILED, f"should be refused; it was answered ({said})")
    if case.check:
        problem = problem_of(case.check, reply, subject, subject.request_of(case) or {})
        if problem is not None:
            return CaseResult(case, CaseOutcome.FAILED, f"{said}: {problem}")
    if not reply.is_good and not reply.blames_caller:
        return CaseResult(case, CaseOutcome.ADVICE, f"the caller's fault, called {said}")
    return CaseResult(case, CaseOutcome.PASSED)


def _why_skipped(subject: Subject, case: ConformanceCase) -> str | None:
    if subject.version is None and subject.needs_version(case):
        return "the metadata name no version"
    if case.needs_number and not subject.has_number:
        return "the model has no input of numbers"
    return None


def conform_report(subject: Subject, results: list[CaseResult]) -> dict[str, Any]:
    """Return the results as data: counts, counts by clause, and every case."""
    return {
        "target": subject.target.address,
        "protocol": "grpc" if subject.target.is_grpc else "rest",
        "model": subject.model.name,
        "version": subject.version,
        "counts": _count(results),
        "clauses": {
            clause: _count([one for one in results if one.case.clause == clause])
            for clause in dict.fromkeys(one.case.clause for one in results)
        },
        "cases": [
            {
                "name": one.case.name,
                "clause": one.case.clause,
                "outcome": one.outcome.value,
                "note": one.note,
            }
            for one in results
        ],
    }


def _count(results: list[CaseResult]) -> dict[str, int]:
    return {
        outcome.value: sum(one.outcome is outcome for one in results) for outcome in CaseOutcome
    }
