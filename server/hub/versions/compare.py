"""Two versions of a model beside each other: metrics, contract, training data, all the manifest."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gnomon.core.reference import FieldReference
from gnomon.runtime.errors import Conflict
from gnomon.runtime.packages.profile import Profile
from gnomon.server.hub.monitoring.windows import profile_of
from gnomon.server.hub.store import schema
from gnomon.server.hub.versions.aliases import check_version

#: Said elsewhere in the answer, or different of necessity.
_LEFT_OUT = ("version", "files", "reproducibility.test_metrics")

_VERSION = schema.version.c


@dataclass(frozen=True, slots=True)
class ComparedPackage:
    """The package of one side."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A test metric on both sides; None if a side does not have it."""

    left: float | None
    right: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that differs; `path` is its place, with dots."""

    path: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class CategoryStatistics:
    """The training data of a category; `missing` is a share of the rows."""

    rows: int
    missing: float
    categories: int


@dataclass(frozen=True, slots=True)
class NumberStatistics:
    """The training data of a numeric field; `missing` is a share of the rows."""

    rows: int
    missing: float
    mean: float
    standard_deviation: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field whose training data differ; `shift` is in standard deviations of the left."""

    field: str
    left: CategoryStatistics | NumberStatistics | None
    right: CategoryStatistics | NumberStatistics | None
    shift: float | None


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """What differs between two versions of a model in one format."""

    model: str
    format: str
    left: ComparedPackage
    right: ComparedPackage
    metrics: dict[str, MetricChange]
    rules: list[SettingChange]
    reference: list[FieldChange]
    manifest: list[SettingChange]


def compare(connection: Connection, model: str, left: str, right: str) -> VersionComparison:
    """Return what differs between two versions, in the first format that both have.

    Args:
        connection: of an open transaction; it only reads.
        model: the model's name.
        left: one version.
        right: the other.

    Raises:
        UnknownModel: if one is not in the registry.
        Conflict: if they have no format in common.
    """
    packages = [_by_format(connection, model, version) for version in (left, right)]
    common = sorted(packages[0].keys() & packages[1].keys())
    if not common:
        raise Conflict(
            f"{model}@{left} is there as {', '.join(sorted(packages[0]))} and {model}@{right} as "
            f"{', '.join(sorted(packages[1]))}; only packages of one format can be compared"
        )
    (one, one_manifest), (two, two_manifest) = (package[common[0]] for package in packages)
    profiles = profile_of(connection, one), profile_of(connection, two)
    return VersionComparison(
        model=model,
        format=common[0],
        left=ComparedPackage(left, one),
        right=ComparedPackage(right, two),
        metrics=_metrics(one_manifest, two_manifest),
        rules=_changes(*(_contract(profile) for profile in profiles)),
        reference=list(_references(*profiles)),
        manifest=_changes(_kept(one_manifest), _kept(two_manifest)),
    )


def _by_format(
    connection: Connection, model: str, version: str
) -> dict[str, tuple[str, dict[str, Any]]]:
    check_version(connection, model, version)
    rows = connection.execute(
        select(_VERSION.format, _VERSION.digest, _VERSION.manifest).where(
            _VERSION.name == model, _VERSION.version == version
        )
    )
    return {row.format: (row.digest, row.manifest) for row in rows}


def _metrics(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, MetricChange]:
    sides = [one.get("reproducibility", {}).get("test_metrics", {}) for one in (left, right)]
    return {
        name: MetricChange(
            left=sides[0].get(name),
            right=sides[1].get(name),
            difference=sides[1][name] - sides[0][name]
            if name in sides[0] and name in sides[1]
            else None,
        )
        for name in sorted(sides[0].keys() | sides[1].keys())
    }


def _contract(profile: Profile) -> dict[str, Any]:
    """Return every setting of every field, and each rule, by its place."""
    fields = {
        side: {field.name: field.to_dict() for field in chosen}
        for side, chosen in (("inputs", profile.inputs), ("outputs", profile.outputs))
    }
    return dict(_flat({**fields, "rules": {rule.name: rule.expression for rule in profile.rules}}))


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        path: value
        for path, value in _flat(manifest)
        if not any(path == name or path.startswith(f"{name}.") for name in _LEFT_OUT)
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def _changes(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[SettingChange]:
    return [
        SettingChange(path, left.get(path), right.get(path))
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]


def _references(left: Profile, right: Profile) -> Iterator[FieldChange]:
    """Describe each field's training data on both sides, if it differs."""
    sides = (
        ("inputs", left.input_reference, right.input_reference),
        ("outputs", left.output_reference, right.output_reference),
    )
    for side, before, after in sides:
        known = [{one.name: one for one in reference.fields} for reference in (before, after)]
        for name in dict.fromkeys([*known[0], *known[1]]):
            one, two = (fields.get(name) for fields in known)
            if one == two:
                continue
            yield FieldChange(
                field=f"{side}.{name}",
                left=_describe(one),
                right=_describe(two),
                shift=_shift(one, two),
            )


def _describe(
    reference: FieldReference | None,
) -> CategoryStatistics | NumberStatistics | None:
    if reference is None:
        return None
    rows = sum(reference.counts)
    missing = reference.counts[reference.missing_cell] / rows if rows else 0.0
    if reference.kind == "category":
        return CategoryStatistics(rows, missing, len(reference.categories))
    return NumberStatistics(
        rows=rows,
        missing=missing,
        mean=reference.mean,
        standard_deviation=math.sqrt(reference.variance),
        minimum=reference.minimum,
        maximum=reference.maximum,
    )


def _shift(left: FieldReference | None, right: FieldReference | None) -> float | None:
    """Return how far the mean moved, in standard deviations of the left."""
    if left is None or right is None or "category" in (left.kind, right.kind):
        return None
    return (right.mean - left.mean) / math.sqrt(left.variance) if left.variance > 0 else None
