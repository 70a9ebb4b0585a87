"""What the specification says of answers: requirements, each of which returns what is wrong."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gnomon.bench.conform.grpc_cases import CONTENTS
from gnomon.bench.conform.subject import Reply, Subject
from gnomon.bench.conform.values import DATATYPES

__all__ = ["CHECKS", "problem_of"]

#: A requirement: the reply, who answered, and the request; returns what is wrong, or None.
Check = Callable[[Reply, Subject, Mapping[str, Any]], str | None]


def problem_of(
    check: str, reply: Reply, subject: Subject, request: Mapping[str, Any]
) -> str | None:
    """Return what a reply breaks of a requirement, or None.

    Args:
        check: the requirement's name, for some with an argument behind a colon.
        reply: the reply.
        subject: who gave it.
        request: that it answers.
    """
    name, _, argument = check.partition(":")
    if name == "only_output":
        names = [one.get("name") for one in _tensors(reply.document, "outputs")]
        return None if names == [argument] else f"the outputs are {names}, not [{argument!r}]"
    try:
        return CHECKS[name](reply, subject, request)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"the answer has not the form of the specification: {type(error).__name__}: {error}"


def _tensors(document: Any, side: str) -> list[dict[str, Any]]:
    found = document.get(side) if isinstance(document, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _outputs(reply: Reply) -> list[dict[str, Any]]:
    """Return the outputs of an answer.

    Raises:
        ValueError: there are none.
    """
    found = _tensors(reply.document, "outputs")
    if not found:
        raise ValueError("there are no outputs")
    return found


def _text(member: str, *, may_be_empty: bool = False) -> Check:
    def check(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
        value = reply.document.get(member)
        if isinstance(value, str) and (value or may_be_empty):
            return None
        return f"{member!r} should be a text, not {value!r}"

    return check


def _true(member: str) -> Check:
    def check(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
        value = reply.document.get(member)
        return None if value is True else f"{member!r} should be true, not {value!r}"

    return check


def _of_tensors(side: str, what: str, is_right: Callable[[Any], bool]) -> Check:
    def check(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
        tensors = _tensors(reply.document, side)
        if not tensors:
            return f"there are no {side}"
        wrong = [one.get(what) for one in tensors if not is_right(one.get(what))]
        return f"the {what} of {side} cannot be {wrong[0]!r}" if wrong else None

    return check


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_size(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_metadata_shape(value: Any) -> bool:
    return isinstance(value, list) and all(_is_size(one, -1) for one in value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(_is_size(one, 0) for one in value)


def _is_json(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    is_right = reply.content_type.partition(";")[0].strip() == "application/json"
    return None if is_right else f"the content type is {reply.content_type!r}"


def _extensions(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    value = reply.document.get("extensions")
    is_right = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return None if is_right else f"'extensions' should be an array of texts, not {value!r}"


def _model_name(reply: Reply, subject: Subject, _request: Mapping[str, Any]) -> str | None:
    name = reply.document.get("name")
    return None if name == subject.model.name else f"'name' is {name!r}, not that of the model"


def _versions(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    value = reply.document.get("versions", [])
    is_right = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return None if is_right else f"'versions' should be an array of texts, not {value!r}"


def _answers_model(reply: Reply, subject: Subject, _request: Mapping[str, Any]) -> str | None:
    name = reply.document.get("model_name")
    return None if name == subject.model.name else f"'model_name' is {name!r}"


def _version_text(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    value = reply.document.get("model_version", "")
    return None if isinstance(value, str) else f"'model_version' is {value!r}, no text"


def _has_outputs(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    return None if _tensors(reply.document, "outputs") else "there are no outputs"


def _outputs_sized(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    for one in _outputs(reply):
        count = len(_flat(one["data"]))
        if count != math.prod(one["shape"]):
            return f"{one['name']!r} has {count} elements and the shape {one['shape']}"
    return None


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [element for one in data for element in _flat(one)]


def _as_metadata(reply: Reply, subject: Subject, _request: Mapping[str, Any]) -> str | None:
    known = {one.name: one.datatype for one in subject.model.outputs}
    for one in _outputs(reply):
        if known.get(one.get("name", "")) != one.get("datatype"):
            return f"{one.get('name')!r} of {one.get('datatype')} is not in the metadata"
    return None


def _id_echoed(reply: Reply, _subject: Subject, request: Mapping[str, Any]) -> str | None:
    sent, got = request.get("id", ""), reply.document.get("id")
    # An id that is not given may be absent, empty, or the server's own.
    return None if not sent or got == sent else f"the id is {got!r}, not {sent!r}"


def _error(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    return None if reply.error else 'there is no {"error": "…"} in the body'


def _wrong_member(reply: Reply, _subject: Subject, request: Mapping[str, Any]) -> str | None:
    if not reply.is_good:
        return None
    first = request["inputs"][0]
    (member,) = first["contents"]
    right = CONTENTS.get(first["datatype"])
    return None if member == right else f"{first['datatype']} was read from {member!r}"


def _not_ready(reply: Reply, _subject: Subject, _request: Mapping[str, Any]) -> str | None:
    is_ready = reply.is_good and reply.document.get("ready") is True
    return "a model that is not there is ready" if is_ready else None


#: Name → requirement.
CHECKS: Mapping[str, Check] = {
    "live": _true("live"),
    "ready": _true("ready"),
    "is_json": _is_json,
    "server_name": _text("name"),
    "server_version": _text("version"),
    "server_extensions": _extensions,
    "model_name": _model_name,
    "model_versions": _versions,
    "model_platform": _text("platform", may_be_empty=True),
    "input_names": _of_tensors("inputs", "name", _is_name),
    "input_datatypes": _of_tensors("inputs", "datatype", DATATYPES.__contains__),
    "input_shapes": _of_tensors("inputs", "shape", _is_metadata_shape),
    "output_names": _of_tensors("outputs", "name", _is_name),
    "output_datatypes": _of_tensors("outputs", "datatype", DATATYPES.__contains__),
    "output_shapes": _of_tensors("outputs", "shape", _is_metadata_shape),
    "answers_model": _answers_model,
    "version_is_text": _version_text,
    "has_outputs": _has_outputs,
    "outputs_named": _of_tensors("outputs", "name", _is_name),
    "outputs_typed": _of_tensors("outputs", "datatype", DATATYPES.__contains__),
    "outputs_shaped": _of_tensors("outputs", "shape", _is_shape),
    "outputs_sized": _outputs_sized,
    "outputs_as_metadata": _as_metadata,
    "id_echoed": _id_echoed,
    "error": _error,
    "wrong_member": _wrong_member,
    "not_ready": _not_ready,
}
