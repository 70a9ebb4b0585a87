"""`gnomon package build` and `import`: packages from a recipe, or from a model file alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gnomon.command.shared.csv_options import csv_options, split_names
from gnomon.command.shared.isolation import in_empty_folder
from gnomon.command.shared.output import emit, json_option, show, styled
from gnomon.command.shared.package_options import FILE, signing_key_option
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer

if TYPE_CHECKING:
    from gnomon.pipeline.datasets.csv_dialect import CsvDialect
    from gnomon.pipeline.datasets.dataset import Dataset


def _show_example(ctx: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from gnomon.pipeline.recipes.example import EXAMPLE

        click.echo(EXAMPLE, nl=False)
        ctx.exit()


@click.command()
@click.argument("recipe", metavar="RECIPE.toml", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
@signing_key_option
@click.option(
    "--example",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_example,
    help="Print a commented recipe and do nothing else.",
)
@json_option
def build(recipe: Path, out: Path, key_file: Path | None, as_json: bool) -> None:
    """Build the package that RECIPE.toml describes as folder OUT, from a model that is trained.

    The contract and the profile come from the training data; the golden samples from the model. The
    same recipe, model and data always give the same digest.
    """
    from gnomon.pipeline.recipes.build import build_recipe
    from gnomon.pipeline.recipes.file import read_recipe
    from gnomon.pipeline.steps.rules import check_tier_of_single_build

    read = read_recipe(recipe)
    check_tier_of_single_build(read.reference, read.risk_tier)
    signer = Signer.load(key_file) if key_file else None
    out.parent.mkdir(parents=True, exist_ok=True)
    print_package(build_recipe(read, out, signer), as_json=as_json)


@click.command("import")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The package's name.")
@click.option("--version", required=True, help="Its version.")
@click.option(
    "--columns",
    default="",
    metavar="A,B,…",
    help="Names of the columns of the model's only tensor, in order.",
)
@click.option("--data", type=FILE, help="Rows of a PMML model (CSV, Parquet or Arrow).")
@csv_options
@click.option("--owner", default="")
@click.option("--licence", default="")
@click.option("--unpickle", is_flag=True, help="Load a pickle; this runs the code in it, as you.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["onnx", "trees"]),
    help="What an estimator becomes: onnx for a pickle, trees for a file of skops. A .onnx file of "
    "one TreeEnsembleRegressor may become trees.",
)
@click.option(
    "--proof/--no-proof",
    default=True,
    help="Compare trees with the library that trained them, in a process of its own.",
)
@signing_key_option
@json_option
@in_empty_folder
def import_command(
    model: Path,
    out: Path,
    name: str,
    version: str,
    columns: str,
    data: Path | None,
    dialect: Callable[[], "CsvDialect"],
    owner: str,
    licence: str,
    unpickle: bool,
    wanted: str | None,
    proof: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Make a package of a model whose data are not at hand, as folder OUT.

    MODEL is an .onnx or .tflite file, a model of LightGBM (text), XGBoost (JSON, UBJSON) or
    CatBoost (JSON), the folder of an MLflow model with the flavour onnx, a .skops file, or, with
    --unpickle, a pickled scikit-learn estimator over numbers (a file, or an MLflow model with the
    flavour sklearn). A pickled estimator is converted to ONNX, or, with --format trees, its trees
    are taken as they are; those of a .skops file always are. The contract is what shapes and types
    say: no ranges, no profile to measure drift against. If there are data, `gnomon package build`
    makes a better one.

    A .pmml file is compiled to ONNX and compared on the rows that it records, and on those of
    --data if they have what the model said in a column of its name; profile and golden samples
    come from the data.
    """
    from gnomon.pipeline.build import PackageMetadata
    from gnomon.pipeline.formats.importing import import_model, read_source

    signer = Signer.load(key_file) if key_file else None
    about = PackageMetadata(owner=owner, licence=licence)
    out.parent.mkdir(parents=True, exist_ok=True)
    if model.suffix.lower() == ".pmml":
        from gnomon.pipeline.formats.pmml_source import import_pmml, text_inputs

        content = model.read_bytes()
        rows = _read_rows(data, dialect(), text_inputs(content)) if data else None
        found = import_pmml(content, out, name, version, data=rows, signer=signer, about=about)
        _print_import(found, as_json=as_json)
        return
    if data is not None:
        raise ConfigurationError("--data goes with a .pmml file; for others write a recipe")
    is_skops = model.suffix.lower() == ".skops"
    if unpickle or is_skops:
        from gnomon.pipeline.formats import sklearn_source

        load = sklearn_source.read_skops if is_skops else sklearn_source.unpickle
        is_trees = wanted == "trees" or (is_skops and wanted is None)
        estimator = load(model)
        source = (
            sklearn_source.from_trees(estimator, model.name, proof=proof)
            if is_trees
            else sklearn_source.from_estimator(estimator, model.name)
        )
    elif wanted == "trees" and model.suffix.lower() == ".onnx":
        from gnomon.pipeline.formats.onnx_trees import from_onnx

        source = from_onnx(model, proof=proof)
    else:
        source = read_source(model, proof=proof)
    package = import_model(
        source,
        out,
        name,
        version,
        signer=signer,
        columns=split_names(columns),
        about=about,
    )
    _print_import(package, as_json=as_json)
    if source.proof is not None and not as_json:
        show(f"{source.proof.trainer}: {source.proof}")


def _read_rows(path: Path, dialect: "CsvDialect", texts: Sequence[str]) -> "Dataset":
    """Return the rows; the columns `texts` of a CSV file are texts, also if they look otherwise."""
    from gnomon.pipeline.datasets.dataset import Dataset

    if path.suffix.lower() == ".csv":
        read = Dataset.from_csv(path, dialect)
        if wanted := [name for name in texts if name in read.table.column_names]:
            text = tuple({*dialect.text, *wanted})
            read = Dataset.from_csv(path, msgspec.structs.replace(dialect, text=text))
    elif path.suffix.lower() == ".parquet":
        read = Dataset.from_parquet(path)
    else:
        read = Dataset.from_arrow(path)
    return Dataset(read.table, path.name)


def _print_import(package: Package, *, as_json: bool) -> None:
    if not as_json:
        show(package.manifest.card)
    print_package(package, as_json=as_json)


def print_package(package: Package, *, as_json: bool) -> None:
    """Say what was built."""
    made_from = package.manifest.reproducibility
    payload = {
        "package": package.reference,
        "format": package.manifest.format,
        "digest": package.digest,
        "path": str(package.path),
        "signers": list(package.signers),
        "reference_rows": package.profile.input_reference.rows,
        "golden_samples": len(package.golden.rows),
        "fingerprint": made_from.dataset_fingerprint,
        "test_metrics": made_from.test_metrics,
    }

    def render() -> None:
        signed = f"signed by {package.signers[0]}" if package.signers else "not signed"
        show(
            styled(package.reference, "bold"),
            f" ({payload['format']}) → {package.path}\n"
            f"digest {package.digest}, {signed}\nprofile of {payload['reference_rows']:,} rows, "
            f"{payload['golden_samples']} golden samples",
        )
        for name, value in made_from.test_metrics.items():
            show(f"  {name} {value:.4g}")

    emit(payload, as_json=as_json, render=render)
