"""`gnomon serve`: a server node."""

import json
from typing import Any

import click

from gnomon.command.shared.output import json_option, show, styled
from gnomon.command.shared.settings_options import load_settings, settings_command


@click.command(cls=settings_command("node", "serve", is_long_running=True))
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@json_option
@click.pass_obj
def serve(config_file: str | None, /, models: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Serve over gRPC and REST (Open Inference Protocol), from a hub or from MODELs.

    A MODEL is a package's folder, an .onnx or .tflite file, a model that LightGBM (text), XGBoost
    (JSON, UBJSON) or CatBoost (JSON) saved, a folder of versions (NAME/1/model.onnx), or a folder
    of any of these; what --packages names is served too. A bare file's contract is what the shapes
    and types of its tensors say.

    Runs until it is stopped (SIGTERM, Ctrl-C); then finishes running calls and
    uploads its telemetry.
    """
    from gnomon.server.serving.process import ServeAddresses
    from gnomon.server.serving.process import serve as run

    def ready(addresses: ServeAddresses) -> None:
        if as_json:
            click.echo(json.dumps(addresses._asdict()))
            return
        show("serving gRPC at ", styled(addresses.grpc, "bold"))
        if addresses.rest:
            show("serving REST at ", styled(addresses.rest, "bold"), " (pages at /docs)")

    if models:
        flags["packages"] = ",".join(filter(None, (flags.get("packages"), *models)))
    run(
        load_settings("serve", config_file, flags), load_settings("node", config_file, flags), ready
    )
