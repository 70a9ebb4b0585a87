"""`gnomon package init`: a first recipe, from a model file and its training data."""

from pathlib import Path

import click

from gnomon.command.shared.csv_options import split_names
from gnomon.command.shared.package_options import FILE
from gnomon.runtime.packages.column_names import field_names


@click.command("init")
@click.argument("model", type=FILE)
@click.argument("train", type=FILE, nargs=-1, required=True)
@click.option("--name", help="The model's name. Default: that of the file.")
@click.option("--version", default="1", show_default=True, help="The version's name.")
@click.option("--label", default="", help="Column with the truth; it is no input of the model.")
@click.option("--test", type=FILE, multiple=True, help="File to measure on; needs --label.")
@click.option("--block", default="", help="Column by which rows resemble each other, as a day.")
@click.option(
    "--leave-out", default="", metavar="A,B,…", help="Further columns that are no inputs."
)
def init(
    model: Path,
    train: tuple[Path, ...],
    name: str | None,
    version: str,
    label: str,
    test: tuple[Path, ...],
    block: str,
    leave_out: str,
) -> None:
    """Print a recipe that makes a package of MODEL, trained on the data TRAIN.

    It builds as it is, from this folder: gnomon package init model.onnx train.csv > recipe.toml
    """
    from gnomon.pipeline.recipes.draft import DraftOptions, draft_recipe

    (from_file,) = field_names([model.stem.lower()])
    options = DraftOptions(
        name=name or from_file.replace(".", "_"),
        version=version,
        label=label,
        block=block,
        test=test,
        leave_out=tuple(split_names(leave_out)),
    )
    click.echo(draft_recipe(model, train, options), nl=False)
