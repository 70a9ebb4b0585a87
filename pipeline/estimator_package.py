"""A package of a fitted estimator and the tables that it was trained and tested on, in one call."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gnomon.pipeline.formats.importing import Source
from gnomon.pipeline.recipes.build import build_recipe
from gnomon.pipeline.recipes.draft import DraftOptions, draft_recipe
from gnomon.pipeline.recipes.file import parse_recipe
from gnomon.runtime.errors import Conflict, InvalidInput
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.raw_models.trees.recognise import as_trees

__all__ = ["build_package"]

_LABEL = "label"


def build_package(
    estimator: Any,
    train: Any,
    train_labels: Any = None,
    test: Any = None,
    test_labels: Any = None,
    *,
    name: str,
    version: str = "1",
    folder: str | Path | None = None,
    block: str = "",
    signer: Signer | None = None,
) -> Package:
    """Build the package of an estimator and return it, verified.

    The folder `FOLDER.source` has what it was built from: model, data and recipe. To say more than
    the data show (ranges, units, rules, a card), change the recipe and run `gnomon package build`.

    Args:
        estimator: fitted: of scikit-learn, LightGBM, XGBoost or CatBoost, over numbers.
        train: rows that it was trained on, of shape (rows, columns): a pandas or polars data frame,
            a pyarrow table, or a NumPy array.
        train_labels: the truth of each row, of shape (rows,); kept with the data. None: unknown.
        test: rows to measure on, as `train`.
        test_labels: the truth of each, of shape (rows,); needed if there are test rows.
        name: the model's name.
        version: the version's name.
        folder: the package's folder; None: NAME-VERSION in the folder `packages`.
        block: the column of `train` by which rows resemble each other, as a day; no input.
        signer: whose key signs; None: unsigned.

    Raises:
        InvalidInput: tables and labels do not fit together.
        ConfigurationError: the columns are not those of the estimator, or are no numbers.
        PackageError: the estimator cannot be converted.
        Conflict: the folder of the package or of its source exists.
    """
    folder = Path(folder) if folder is not None else Path("packages") / f"{name}-{version}"
    source_folder = folder.with_name(f"{folder.name}.source")
    for path in (folder, source_folder):
        if path.exists():
            raise Conflict(f"{path} exists; a version never changes, so name another folder")
    if (test is None) != (test_labels is None):
        raise InvalidInput("test rows and test labels go together; one of them is missing")
    model = _convert(estimator)
    tables = {"train": _table(train, train_labels, model.columns, block)}
    if test is not None:
        tables["test"] = _table(test, test_labels, model.columns, block)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Nothing is left behind by a build that fails.
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        place = Path(draft) / "source"
        place.mkdir()
        (place / f"model.{model.format}").write_bytes(model.content)
        for part, table in tables.items():
            pq.write_table(table, place / f"{part}.parquet")
        options = DraftOptions(
            name=name,
            version=version,
            label=_LABEL if train_labels is not None or test is not None else "",
            block=block,
            test=(Path("test.parquet"),) if test is not None else (),
        )
        # The estimator took the columns of its training rows in their order.
        columns = model.columns or [
            one for one in tables["train"].column_names if one not in (_LABEL, block)
        ]
        text = draft_recipe(
            Path(f"model.{model.format}"), [Path("train.parquet")], options, place, columns
        )
        (place / "recipe.toml").write_text(text, encoding="utf-8")
        package = build_recipe(parse_recipe(text, place / "recipe.toml"), folder, signer)
        place.rename(source_folder)
    return package


def _convert(estimator: Any) -> Source:
    """Return the model of an estimator, as trees if it has them."""
    library = type(estimator).__module__.partition(".")[0]
    if library == "lightgbm":
        booster = getattr(estimator, "booster_", estimator)
        text = booster.model_to_string()
        return Source("estimator", "trees", as_trees(text.encode()), tuple(booster.feature_name()))
    if library == "xgboost":
        booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
        content = as_trees(bytes(booster.save_raw(raw_format="ubj")))
        return Source("estimator", "trees", content, tuple(booster.feature_names or ()))
    if library == "catboost":
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            estimator.save_model(str(path), format="json")
            content = as_trees(path.read_bytes())
        return Source("estimator", "trees", content, tuple(estimator.feature_names_))
    from gnomon.pipeline.formats.sklearn_source import from_estimator, from_trees
    from gnomon.pipeline.formats.sklearn_trees import has_trees

    return from_trees(estimator) if has_trees(estimator) else from_estimator(estimator)


def _table(rows: Any, labels: Any, columns: Sequence[str], block: str) -> pa.Table:
    """Return rows as a table with the model's columns in its order, the block and the labels."""
    table = _arrow(rows, columns)
    inputs = [name for name in table.column_names if name != block]
    if columns and set(columns) <= set(inputs):
        inputs = list(columns)
    table = table.select([*inputs, *([block] if block in table.column_names else [])])
    if labels is None:
        return table
    if _LABEL in table.column_names:
        raise InvalidInput(
            f"a column of the rows is named {_LABEL!r}, as that of the labels will be"
        )
    values = np.asarray(labels)
    if values.shape not in ((len(table),), (len(table), 1)):
        raise InvalidInput(f"there are {len(table)} rows, and labels of shape {values.shape}")
    return table.append_column(_LABEL, pa.array(values.reshape(len(table))))


def _arrow(rows: Any, columns: Sequence[str]) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    library = type(rows).__module__.partition(".")[0]
    if library == "polars":
        return rows.to_arrow()
    if library == "pandas":
        return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()
    array = np.asarray(rows)
    if array.ndim != 2:
        raise InvalidInput(f"rows have the shape {array.shape}; right would be (rows, columns)")
    names = [f"x{place}" for place in range(array.shape[1])]
    if len(columns) == array.shape[1]:
        names = list(columns)
    return pa.table({name: array[:, place] for place, name in enumerate(names)})
