"""Builds the package that a recipe describes.

The same recipe, model and data give the same digest, in any folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from msgspec import UNSET
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import Field
from gnomon.pipeline.build import PackageMetadata, build_package
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError, as_rows
from gnomon.pipeline.environment import code_version
from gnomon.pipeline.profiles.profile import build_profile
from gnomon.pipeline.proofs.tree_proof import attest_proof
from gnomon.pipeline.recipes.data import RecipeData, read_data
from gnomon.pipeline.recipes.file import Recipe
from gnomon.pipeline.recipes.metrics import measure, measure_segments
from gnomon.pipeline.recipes.model import RecipeModel
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.manifest import Reproducibility
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer

__all__ = ["RecordedModel", "build_recipe"]


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """What a rebuild takes from the record; the model is for a folder without its file."""

    model: bytes
    code_version: str
    code_clean: bool
    risk_tier: str


def build_recipe(
    recipe: Recipe, folder: Path, signer: Signer | None, recorded: RecordedModel | None = None
) -> Package:
    """Build the package that a recipe describes as `folder` and return it, verified.

    `recorded` is for building once more (`gnomon.pipeline.rebuild`).

    Args:
        recipe: what to build.
        folder: the package's folder; it must not exist, or hold the same.
        signer: whose key signs; None: unsigned.
        recorded: what a build once recorded, if it is done once more.

    Raises:
        ConfigurationError: the recipe contradicts itself, its model or its data.
        DatasetError: the data cannot be read, or are not those that the recipe names.
        PackageError: the model file is invalid, answers otherwise than its trainer, or the parts do
            not make a package.
        EngineError: the model cannot be run.
        Conflict: the folder exists and holds something else.
    """
    data = read_data(recipe)
    model = RecipeModel(recipe, data.train, recorded.model if recorded else None)
    columns, violations = model.contract.check_columns(data.train.columns(model.contract.names))
    _refuse_bad_rows(recipe, data.train, violations)
    answers = model.answer(columns)
    proof = None if recorded else model.prove(columns)
    fields = model.output_fields(answers)
    outputs = model.read_outputs(answers, fields)
    profile = build_profile(
        data.train,
        model.contract.fields,
        fields,
        outputs,
        rules=recipe.rules,
        blocks=data.blocks(data.train),
    )
    tested = data.train
    if data.test is not None:
        tested = data.test
        columns, violations = model.contract.check_columns(tested.columns(model.contract.names))
        outputs = model.read_outputs(model.answer(columns), fields)
    good = _good_rows(len(tested), violations, Contract(fields).check_columns(outputs)[1])
    package = build_package(
        folder,
        recipe.name,
        recipe.version,
        model=model.file,
        profile=profile,
        golden_rows=_golden_rows(recipe, tested, model.contract.fields, good),
        reproducibility=_record(
            recipe, data, model, _measure(recipe, data, fields, outputs), recorded
        ),
        signer=signer,
        about=PackageMetadata(
            **recipe.about,
            risk_tier=(recorded.risk_tier if recorded else recipe.risk_tier) or "low",
        ),
    )
    if proof is not None and signer is not None:
        attest_proof(proof, package, signer)
    return package


def _refuse_bad_rows(recipe: Recipe, train: Dataset, violations: Violations | None) -> None:
    if violations is None or not violations.rejected:
        return
    count = int(violations.rejected_rows(len(train)).sum())
    raise DatasetError(
        f"{recipe.path}: {count} of {len(train)} training rows break the contract, first "
        f"{violations.describe(1)[0]}; correct the rule under [inputs] or [[rules]], or drop those "
        "rows out"
    )


def _good_rows(rows: int, *found: Violations | None) -> NDArray[np.int64]:
    """Return the positions of the rows that no violation rejects."""
    good = np.ones(rows, dtype=np.bool_)
    for violations in found:
        if violations is not None:
            good &= ~violations.rejected_rows(rows)
    return np.flatnonzero(good)


def _golden_rows(
    recipe: Recipe, data: Dataset, fields: tuple[Field, ...], good: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return good rows spread evenly, and for each input that may be missing one without it."""
    if not len(good):
        raise DatasetError(
            f"{recipe.path}: no row of {data.uri} satisfies the contracts of inputs and outputs; "
            "no golden sample can be made"
        )
    count = min(recipe.golden.rows, len(good))
    chosen = list(good[np.linspace(0, len(good) - 1, count).round().astype(np.int64)])
    for one in fields:
        if one.nullable:
            absent = np.asarray(pc.is_null(data.table.column(one.name), nan_is_null=True))
            chosen += list(good[absent[good]][:1])
    chosen_rows = data.table.select([one.name for one in fields]).take(sorted(set(chosen)))
    return as_rows(chosen_rows)


@dataclass(frozen=True, slots=True)
class _TestMetrics:
    """Metrics of all test rows, and of those of each segment."""

    whole: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def _measure(
    recipe: Recipe,
    data: RecipeData,
    fields: tuple[Field, ...],
    outputs: dict[str, NDArray[Any]],
) -> _TestMetrics:
    """Return the metrics of the output that has labels; none if the recipe has no test."""
    test = recipe.test
    if test is None or data.test is None:
        return _TestMetrics()
    chosen = next((one for one in fields if one.name == test.output), fields[0])
    labels = data.test.columns([test.label])[test.label]
    kind = test.metrics or ("regression" if chosen.kind.is_float else "classification")
    blocks, values = data.blocks(data.test), data.test.columns(test.segments)
    try:
        return _TestMetrics(
            measure(kind, labels, outputs[chosen.name], blocks),
            measure_segments(kind, labels, outputs[chosen.name], blocks, values),
        )
    except (ValueError, TypeError) as error:
        raise recipe.error(f"test: {kind} of {chosen.name!r} by {test.label!r}: {error}") from error


def _record(
    recipe: Recipe,
    data: RecipeData,
    model: RecipeModel,
    measured: _TestMetrics,
    recorded: RecordedModel | None,
) -> Reproducibility:
    training = recipe.training
    code = (training.code_version, training.code_clean)
    if recorded is not None:
        code = (recorded.code_version, recorded.code_clean)
    commit, is_clean = code if code[0] else code_version(recipe.path)
    segments = {name: dict(metrics) for name, metrics in measured.segments.items()}
    return Reproducibility(
        code_version=commit,
        code_clean=is_clean,
        dataset_uri=data.all.uri,
        dataset_fingerprint=data.all.fingerprint,
        split=data.split_record(),
        parameters={
            **training.parameters,
            "recipe": recipe.text,
            "model_sha256": sha256(model.content),
        },
        seed=training.seed,
        test_metrics=dict(measured.whole),
        test_metrics_by_segment=segments or UNSET,
    )
