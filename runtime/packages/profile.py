"""The profile: the contracts of inputs and outputs, and what the training data looked like."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gnomon.core.contract.layout import FIELD_RULES, FIRST_CONDITION
from gnomon.core.fields import Field, Rule
from gnomon.core.reference import Reference
from gnomon.core.window import Window
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import PackageError
from gnomon.runtime.extras import missing_extra

#: What the reference of a vector or tensor tells apart, beside missing and invalid ones.
PRESENCE = ("present",)

#: What is raised for values that are of the wrong type or make no sense together.
UNUSABLE = (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError)

_KEYS = ("inputs", "rules", "outputs", "input_reference", "output_reference")


@dataclass(frozen=True, slots=True)
class Profile:
    """Fields and cross-field rules of the inputs, fields of the outputs, and a reference of each.

    A reference has the fields of its side, all of them in the same order: numeric, but for texts
    with an `allowed` list, which are categories with the same list, and for vectors, of which only
    the presence is counted. What is only checked and not
    watched has `monitored=False`.

    Raises:
        PackageError: if fields and references do not fit together.
    """

    inputs: tuple[Field, ...]
    rules: tuple[Rule, ...]
    outputs: tuple[Field, ...]
    input_reference: Reference
    output_reference: Reference

    def __post_init__(self) -> None:
        _check_side("inputs", self.inputs, self.input_reference)
        _check_side("outputs", self.outputs, self.output_reference)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Return what the rule codes of a window mean: those of the inputs, then of the outputs."""
        conditions = tuple(rule.name for rule in self.rules)
        return tuple(
            f"{side}.{name}"
            for side, names in (("inputs", FIELD_RULES + conditions), ("outputs", FIELD_RULES))
            for name in names
        )

    @property
    def output_rules_start(self) -> int:
        """Return the rule code in a window that is code 0 of the outputs' contract."""
        return FIRST_CONDITION + len(self.rules)

    def new_window(self) -> Window:
        """Return an empty window over this profile's references and rules."""
        return Window(self.input_reference, self.output_reference, len(self.rule_names))

    def read_window(self, data: bytes) -> Window:
        """Return a window that a node counted; raises as `Window.from_bytes`."""
        return Window.from_bytes(
            self.input_reference, self.output_reference, data, len(self.rule_names)
        )


def _check_side(side: str, fields: tuple[Field, ...], reference: Reference) -> None:
    names = [field.name for field in fields]
    referred = [one.name for one in reference.fields]
    if not names or names != referred:
        raise PackageError(
            f"profile: the {side} are {names}, but their reference has {referred}; "
            "expected at least one field and the same fields in the same order"
        )
    for field, one in zip(fields, reference.fields, strict=True):
        categories = tuple(map(str, field.allowed or ())) if field.kind.is_text else ()
        if field.kind.is_vector:
            categories = PRESENCE
        kind = "category" if categories else "numeric"
        if one.kind != kind or one.categories != categories:
            raise PackageError(
                f"profile: field {field.name!r} of the {side} is {field.kind.value}, so its "
                f"reference is {kind} with the categories {', '.join(categories) or 'none'}; "
                f"got {one.kind} with {len(one.categories)} categories"
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
        PackageError: if it is not valid; the message names the key, field or rule.
    """
    try:
        return _build(msgspec.json.decode(data, type=dict[str, Any]))
    except UNDECODABLE as error:
        raise PackageError(f"profile.json is not valid JSON: {error}") from error


def decode_profile_yaml(data: bytes) -> Profile:
    """Read a profile that a person wrote as YAML; needs PyYAML.

    Raises:
        PackageError: if it is not valid, or PyYAML is not installed.
    """
    try:
        import yaml

        # In Python: the loader in C crashes if lists are nested too deeply.
        document = yaml.load(data, Loader=yaml.SafeLoader)
    except ImportError as error:
        raise PackageError(missing_extra("a profile in YAML", "PyYAML", "yaml")) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"the profile cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise PackageError(f"the profile should be a mapping, not {type(document).__name__}")
    return _build(document)


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
    except UNUSABLE as error:
        raise PackageError(f"profile: {error}") from error
