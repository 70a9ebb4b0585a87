"""`gnomon package build`: a package from a recipe."""

from pathlib import Path

import click

from gnomon.command.output import console, emit, json_option
from gnomon.command.package_options import FILE, signing_key_option
from gnomon.runtime.package import Package
from gnomon.runtime.signing import Signer


def _show_example(ctx: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from gnomon.pipeline.recipe_example import EXAMPLE

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
    from gnomon.pipeline.recipe_build import build_recipe
    from gnomon.pipeline.recipe_file import read_recipe

    signer = Signer.load(key_file) if key_file else None
    out.parent.mkdir(parents=True, exist_ok=True)
    report(build_recipe(read_recipe(recipe), out, signer), as_json=as_json)


def report(package: Package, *, as_json: bool) -> None:
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
        signed = f"signed by {package.signers[0][:16]}" if package.signers else "not signed"
        console.print(
            f"[bold]{package.reference}[/] ({payload['format']}) → {package.path}\n"
            f"digest {package.digest}, {signed}\nprofile of {payload['reference_rows']:,} rows, "
            f"{payload['golden_samples']} golden samples"
        )
        for name, value in made_from.test_metrics.items():
            console.print(f"  {name} {value:.4g}")

    emit(payload, as_json=as_json, render=render)
