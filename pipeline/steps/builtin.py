"""The built-in steps, which a TOML file can name: `dataset` and `package`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow.parquet

from gnomon.pipeline.datasets.csv_dialect import dialect_of
from gnomon.pipeline.datasets.dataset import Dataset, DatasetError
from gnomon.pipeline.datasets.pieces import ARROW_ENDINGS
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.file import Recipe, read_recipe
from gnomon.pipeline.steps.artifacts import ArtifactKind
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer

__all__ = ["BUILT_IN", "dataset", "package"]


def dataset(
    files: Sequence[Path],
    uri: str = "",
    missing: Sequence[str] | None = None,
    encoding: str = "",
    delimiter: str = "",
    decimal: str = ".",
    text: Sequence[str] = (),
    ragged: Literal["refuse", "fill"] = "refuse",
) -> Dataset:
    """Read one dataset from its parts, all CSV, Parquet or Arrow.

    Args:
        files: the parts.
        uri: the official location.
        missing: texts for no value in CSV; None: the usual ones.
        encoding: of CSV; "": by its byte order mark, or UTF-8.
        delimiter: of CSV; "": the first of comma, semicolon, tab and bar that the header has.
        decimal: decimal mark in CSV.
        text: columns of CSV that are read as texts.
        ragged: "fill" takes the values that a row of a CSV lacks at its end as missing.

    Raises:
        DatasetError: a file cannot be read, or the files are of other kinds.
    """
    dialect = dialect_of(
        missing,
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal,
        text=tuple(text),
        ragged=ragged,
    )
    endings = {file.suffix.lower() for file in files}
    if endings == {".csv"}:
        data = Dataset.from_csv(files, dialect)
    elif endings == {".parquet"}:
        data = Dataset.from_parquet(files)
    elif endings and endings <= set(ARROW_ENDINGS):
        data = Dataset.from_arrow(files)
    else:
        shown = ", ".join(file.name for file in files) or "there are none"
        raise DatasetError(
            f"files should all end in .csv, or all in .parquet, or all in .arrow: {shown}"
        )
    return Dataset(data.table, uri or " ".join(file.name for file in files))


def package(
    recipe: Path,
    model: Path,
    data: Dataset,
    test: Dataset | None = None,
    version: str = "",
    parameters: Mapping[str, Any] | None = None,
    *,
    signer: Signer | None,
    scratch: Path,
    risk_tier: str = "",
) -> Package:
    """Build the package that a recipe describes, from a model and data that other steps made.

    They replace the files that the recipe names; `version` for the recipe's version.
    `parameters` join those of the recipe's `[training]`.

    Args:
        recipe: path of the recipe.
        model: path of the model file.
        data: the training rows.
        test: the test rows; None: as the recipe says.
        version: in place of the recipe's; empty: the recipe's.
        parameters: join those of the recipe's `[training]`.
        signer: whose key signs; None: unsigned.
        scratch: an empty folder for the package.
        risk_tier: of the build; empty: the recipe's.

    Raises:
        ConfigurationError: the recipe is wrong, names another risk tier than the build, or has test
            files and no step gives the test data.
    """
    read = read_recipe(recipe)
    if risk_tier and read.risk_tier not in ("", risk_tier):
        raise ConfigurationError(
            f"{recipe}: its risk_tier is {read.risk_tier!r}, the build's {risk_tier!r}; name one "
            "tier, in the build"
        )
    if read.test is not None and read.test.files and test is None:
        raise ConfigurationError(
            f"{recipe}: test.files are not part of the build; let a step read them and pass them "
            "as `test`"
        )
    adapted = _adapt(read, scratch, model, data, test)
    training = msgspec.structs.replace(
        read.training, parameters={**read.training.parameters, **(parameters or {})}
    )
    adapted = msgspec.structs.replace(
        adapted,
        version=version or read.version,
        training=training,
        risk_tier=risk_tier or read.risk_tier,
    )
    return build_recipe(adapted, scratch / "package", signer)


def _adapt(
    recipe: Recipe, scratch: Path, model: Path, data: Dataset, test: Dataset | None
) -> Recipe:
    """Return the recipe with other files; the manifest does not record their location."""
    tested = recipe.test
    if tested is not None and test is not None:
        files = (_write(test, scratch / "test.parquet"),)
        tested = msgspec.structs.replace(tested, files=files)
    table = msgspec.structs.replace(
        recipe.data,
        files=(_write(data, scratch / "data.parquet"),),
        uri=recipe.data.uri or data.uri,
        sql="",
    )
    return msgspec.structs.replace(
        recipe,
        model=msgspec.structs.replace(recipe.model, file=str(model.resolve())),
        data=table,
        test=tested,
    )


def _write(data: Dataset, file: Path) -> str:
    pyarrow.parquet.write_table(data.table, file)
    return str(file.resolve())


#: Name in a TOML file → the function, and what it makes.
BUILT_IN: Mapping[str, tuple[Callable[..., Any], ArtifactKind]] = {
    "dataset": (dataset, ArtifactKind.DATASET),
    "package": (package, ArtifactKind.PACKAGE),
}
