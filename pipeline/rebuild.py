"""Builds a package again from its record, in another folder, and reports the differences.

The record has the whole recipe; the data are the files of the folder under the names that it gives,
or come from the database that it names. The model is that of the folder or, if that has no model,
of the package. The same data in the same files give the same digest. The same rows in another order
give the same fingerprint, and metrics within a tolerance: golden samples are chosen by position.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gnomon.pipeline.recipes.build import RecordedModel, build_recipe
from gnomon.pipeline.recipes.file import Recipe, parse_recipe
from gnomon.runtime.errors import PackageError, UntrustedPackage
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer

__all__ = ["TOLERANCE", "RebuildResult", "describe_plan", "rebuild", "recorded_recipe"]

#: Relative, of metrics above 1: sums in another order.
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """The rebuilt package, and how it differs; `is_same` compares the digests.

    `is_within` says that the data are the same and no metric differs by more than the tolerance.
    """

    package: Package
    is_same: bool
    is_within: bool
    differences: tuple[str, ...]


def rebuild(
    package: Package, beside: Path, folder: Path, signer: Signer | None = None
) -> RebuildResult:
    """Build `package` again as `folder`, from the files in the folder `beside`.

    The version of the code is taken from the record; the libraries are those installed here.

    Args:
        package: what is built again.
        beside: the folder to which the recipe's paths are relative.
        folder: of the new package.
        signer: whose key signs; None: unsigned.

    Raises:
        PackageError: the package has no recipe in its record, or one that reads other files.
        UntrustedPackage: it queries a database, and no trusted key signed the package.
        ConfigurationError, DatasetError, EngineError, Conflict: as for any build.
    """
    record = package.manifest.reproducibility
    recipe = recorded_recipe(package, beside)
    recorded = RecordedModel(
        package.read_model(),
        record.code_version,
        record.code_clean,
        package.manifest.risk_tier,
    )
    again = build_recipe(recipe, folder, signer, recorded)
    differences = tuple(_differences(package.manifest, again.manifest))
    return RebuildResult(
        package=again,
        is_same=again.digest == package.digest,
        is_within=_is_within(package.manifest, again.manifest),
        differences=differences,
    )


def recorded_recipe(package: Package, beside: Path) -> Recipe:
    """Return the recipe in a package's record, if it may be followed.

    Somebody else wrote it. It may read files of the folder `beside` only. It may query a database
    only if a trusted key signed the package, and by one statement.

    Raises:
        PackageError: the record has no recipe, or one that reads or queries more.
        UntrustedPackage: it queries a database, and the package was opened without trust.
    """
    text = package.manifest.reproducibility.parameters.get("recipe")
    if not isinstance(text, str):
        raise PackageError(
            f"{package.reference} was not built from a recipe, so its record has none to follow"
        )
    recipe = parse_recipe(text, beside / "recipe.toml")
    files = (recipe.model.file, *recipe.data.files, *(recipe.test.files if recipe.test else ()))
    for file in files:
        if not recipe.beside(file).resolve().is_relative_to(beside.resolve()):
            raise PackageError(
                f"{package.reference}: its recipe reads {file!r}, which is outside of {beside}"
            )
    if recipe.data.sql and not package.signers:
        raise UntrustedPackage(
            f"{package.reference}: its recipe queries the database of {recipe.data.connection}; "
            "name the key that signed it before such a query runs"
        )
    if ";" in recipe.data.sql.rstrip().removesuffix(";"):
        raise PackageError(f"{package.reference}: its recipe's sql should be one statement")
    return recipe


def describe_plan(recipe: Recipe) -> list[str]:
    """Return what building a recipe reads and sends, in lines for people."""
    if recipe.data.sql:
        reads = [f"sends to the database of {recipe.data.connection}: {recipe.data.sql.strip()}"]
    else:
        reads = [f"reads {file}" for file in recipe.data.files]
    tested = recipe.test.files if recipe.test else ()
    return [*reads, *(f"reads {file}" for file in tested), f"runs {recipe.model.file}"]


def _is_within(before: Manifest, now: Manifest) -> bool:
    one, other = before.reproducibility, now.reproducibility
    return one.dataset_fingerprint == other.dataset_fingerprint and not any(
        difference > TOLERANCE for _, difference in _metrics(before, now)
    )


def _metrics(before: Manifest, now: Manifest) -> Iterator[tuple[str, float]]:
    """Yield each metric, but for the bounds of its interval, and by how much it differs.

    A newer Gnomon may measure more than the package says; that is no difference.
    """
    old, new = before.reproducibility.test_metrics, now.reproducibility.test_metrics
    for name in sorted(old):
        if not name.endswith(("_low", "_high")):
            one, other = old.get(name, float("inf")), new.get(name, float("inf"))
            yield name, 0.0 if one == other else abs(one - other) / max(abs(one), 1.0)


def _differences(before: Manifest, now: Manifest) -> Iterator[str]:
    """Yield the differences, causes before consequences."""
    one, other = before.reproducibility, now.reproducibility
    if one.dataset_fingerprint != other.dataset_fingerprint:
        yield f"data: {one.dataset_fingerprint} before, {other.dataset_fingerprint} now"
    elif one.split != other.split:
        yield "split: the same rows fall on other sides"
    if one.parameters.get("model_sha256") != other.parameters.get("model_sha256"):
        yield "model: the file is another one"
    installed = {entry.name: entry.version for entry in now.dependencies}
    for entry in before.dependencies:
        if installed.get(entry.name) != entry.version:
            yield f"{entry.name}: {entry.version} before, {installed.get(entry.name, 'none')} now"
    for name, difference in _metrics(before, now):
        if difference:
            yield f"metric {name}: differs by {difference:.3g} of its value"
    files = {entry.path: entry.sha256 for entry in now.files}
    for file in before.files:
        if files.get(file.path) != file.sha256:
            yield f"{file.path}: other content"
