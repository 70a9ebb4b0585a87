"""Errors for callers whose request is refused: a message for people, details for machines."""

from typing import Any

from gnomon.core.contract.violations import Violation, Violations
from gnomon.runtime.errors import InvalidInput, InvalidOutput

_DETAILS_LIMIT = 100
_MESSAGE_LIMIT = 500


def refusal(reference: str, violations: Violations) -> InvalidInput:
    """Return the error for inputs that break their contract."""
    message, details = _explained(f"{reference} refused the input", violations)
    return InvalidInput(message, details=details)


def unreadable(reference: str, why: str) -> InvalidInput:
    """Return the error for a request that cannot be read as fields."""
    return InvalidInput(
        f"{reference} refused the input: {why}; expected one value for each field and row",
        details=[{"row": None, "field": None, "rule": "request", "value": None, "expected": why}],
    )


def bad_output(reference: str, violations: Violations) -> InvalidOutput:
    """Return the error for outputs that break their contract."""
    message, details = _explained(
        f"{reference} gave an answer that breaks its contract", violations
    )
    return InvalidOutput(message, details=details)


def _explained(what: str, violations: Violations) -> tuple[str, list[dict[str, Any]]]:
    described = violations.describe(_DETAILS_LIMIT)
    more = len(violations) - 1
    first = str(described[0])[:_MESSAGE_LIMIT]
    message = f"{what}: {first}" + (f" (and {more} more)" if more else "")
    return message, [describe(one) for one in described]


def describe(violation: Violation) -> dict[str, Any]:
    """Return a violation as the plain values of an error's details."""
    return {
        "row": violation.row,
        "field": violation.field,
        "rule": violation.rule,
        "value": _shown(violation.value),
        "expected": violation.expected,
        "policy": violation.policy.value,
    }


def _shown(value: Any) -> Any:
    """Return a value that JSON can hold: numbers and texts as they are, all else as `repr`."""
    if isinstance(value, bool | int | str) or value is None:
        return value if not isinstance(value, str) else value[:200]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else repr(value)
    return repr(value)[:200]
