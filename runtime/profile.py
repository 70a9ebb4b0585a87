"""The profile: the contracts of inputs and outputs, and what the training data looked like."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gnomon.core.fields import Field, Rule
from gnomon.core.reference import Reference
from gnomon.runtime.errors import PackageError

_KEYS = ("inputs", "rules", "outputs", "input_reference", "output_reference")


@dataclass(frozen=True, slots=True)
class Profile:
    """Fields and cross-field rules of the inputs, fields of the outputs, and a reference of each.

    A reference covers fields that its side has; a field without one is checked, not monitored.

    Raises:
        PackageError: where a reference names a field that is not there.
    """

    inputs: tuple[Field, ...]
    rules: tuple[Rule, ...]
    outputs: tuple[Field, ...]
    input_reference: Reference
    output_reference: Reference

    def __post_init__(self) -> None:
        for side, fields, reference in (
            ("inputs", self.inputs, self.input_reference),
            ("outputs", self.outputs, self.output_reference),
        ):
            names = [field.name for field in fields]
            if not names:
                raise PackageError(f"profile: {side} has no field; at least one is needed")
            unknown = [one.name for one in reference.fields if one.name not in names]
            if unknown:
                raise PackageError(
                    f"profile: the reference of the {side} has {unknown[0]!r}, which is no field; "
                    f"fields are {', '.join(names)}"
                )


def encode_profile(profile: Profile) -> bytes:
    """Return the profile as JSON that a person can read and edit; equal profiles, equal bytes."""
    document = {
        "inputs": [field.to_dict() for field in profile.inputs],
        "rules": [rule.to_dict() for rule in profile.rules],
        "outputs": [field.to_dict() for field in profile.outputs],
        "input_reference": profile.input_reference.to_dict(),
        "output_reference": profile.output_reference.to_dict(),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_profile(data: bytes) -> Profile:
    """Read a profile from JSON.

    Raises:
        PackageError: where it is not valid; the message names the key, field or rule.
    """
    try:
        return _build(msgspec.json.decode(data, type=dict[str, Any]))
    except msgspec.DecodeError as error:
        raise PackageError(f"profile.json is not valid JSON: {error}") from error


def decode_profile_yaml(data: bytes) -> Profile:
    """Read a profile that a person wrote as YAML; needs PyYAML.

    Raises:
        PackageError: where it is not valid, or PyYAML is not installed.
    """
    try:
        return _build(msgspec.yaml.decode(data, type=dict[str, Any]))
    except (msgspec.DecodeError, ImportError) as error:
        raise PackageError(f"the profile cannot be read as YAML: {error}") from error


def _build(document: dict[str, Any]) -> Profile:
    unknown = sorted(set(document) - set(_KEYS))
    missing = [key for key in _KEYS if key not in document]
    if unknown or missing:
        raise PackageError(
            f"profile: unknown keys {unknown}, missing keys {missing}; it has {', '.join(_KEYS)}"
        )
    try:
        return Profile(
            inputs=tuple(Field.from_dict(entry) for entry in document["inputs"]),
            rules=tuple(Rule.from_dict(entry) for entry in document["rules"]),
            outputs=tuple(Field.from_dict(entry) for entry in document["outputs"]),
            input_reference=Reference.from_dict(document["input_reference"]),
            output_reference=Reference.from_dict(document["output_reference"]),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise PackageError(f"profile: {error}") from error
