"""`gnomon predict`: rows through a package, with its contract, without a server."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from gnomon.command.shared.output import json_option
from gnomon.command.shared.package_options import FOLDER, parse_keys
from gnomon.runtime.errors import GnomonError, InvalidInput


@click.command()
@click.argument("package", type=FOLDER)
@click.argument("rows", type=click.File("rb"), default="-")
@click.option(
    "--key", "keys", multiple=True, help="Trusted public key, hex or a file; none: unsigned."
)
@json_option
def predict(package: Path, rows: Any, keys: tuple[str, ...], as_json: bool) -> int:
    """Predict ROWS (a file of JSON objects, one a line; default: standard input) with PACKAGE.

    Prints one JSON object a line: the outputs, or what was wrong with the row. Exits with 1 if
    any row was refused.
    """
    from gnomon.edge.agent import Agent
    from gnomon.runtime.packages.signing import TrustStore

    trust = TrustStore(parse_keys(keys)) if keys else None
    failures = 0
    with Agent(package=package, trust=trust) as agent:
        for number, line in enumerate(rows, start=1):
            if not line.strip():
                continue
            try:
                prediction = agent.predict(read_row(line, number))
                answer: dict[str, Any] = {"outputs": prediction.outputs}
            except GnomonError as error:
                failures += 1
                answer = {"error": error.code, "message": str(error), "details": error.details}
            click.echo(json.dumps(answer | {"line": number} if as_json else answer, default=str))
    sys.stdout.flush()
    return 1 if failures else 0


def read_row(line: bytes, number: int) -> dict[str, Any]:
    """Return a line's object.

    Raises:
        InvalidInput: the line is not an object.
    """
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise InvalidInput(f"line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InvalidInput(f"line {number} should be an object with a value for each field")
    return row
