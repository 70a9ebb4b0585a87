"""`gnomon predict`: rows through a package, with its contract, without a server."""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.csv_options import csv_options
from gnomon.command.shared.output import json_option, printable
from gnomon.command.shared.package_options import FOLDER, parse_keys
from gnomon.runtime.decoding import check_unique_names
from gnomon.runtime.errors import ConfigurationError, GnomonError, InvalidInput

if TYPE_CHECKING:
    from gnomon.pipeline.datasets.csv_dialect import CsvDialect

_BATCH_ROWS = 4_096


@click.command()
@click.argument("package", type=FOLDER)
@click.argument("rows", type=click.Path(path_type=Path), default="-")
@click.option(
    "--key", "keys", multiple=True, help="Trusted public key, hex or a file; none: unsigned."
)
@click.option("--csv", "is_csv", is_flag=True, help="ROWS is a CSV file; its header names columns.")
@csv_options
@json_option
def predict(
    package: Path,
    rows: Path,
    keys: tuple[str, ...],
    is_csv: bool,
    dialect: Callable[[], "CsvDialect"],
    as_json: bool,
) -> int:
    """Predict ROWS (a file of JSON objects, one a line; default: standard input) with PACKAGE.

    Prints one JSON object a line: the outputs, or what was wrong with the row. Exits with 1 if
    any row was refused. With --csv, ROWS is a CSV file, read as by `gnomon dataset`; the options
    from --missing to --ragged say how it is written.
    """
    from gnomon.edge.agent import Agent
    from gnomon.runtime.packages.signing import TrustStore

    trust = TrustStore(parse_keys(keys)) if keys else None
    failures = 0
    with Agent(package=package, trust=trust) as agent:
        given = _read_table(rows, dialect(), package) if is_csv else _read_lines(rows)
        for number, read in given:
            try:
                prediction = agent.predict(read())
                answer: dict[str, Any] = {"outputs": prediction.outputs}
            except GnomonError as error:
                failures += 1
                answer = {"error": error.code, "message": str(error), "details": error.details}
            click.echo(json.dumps(answer | {"line": number} if as_json else answer, default=str))
    sys.stdout.flush()
    return 1 if failures else 0


def _read_lines(path: Path) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    """Yield the number of each line that is not empty, and what reads its object.

    Raises:
        ConfigurationError: the first line is no JSON: the file is of another kind.
    """
    with click.open_file(str(path), "rb") as lines:
        is_first = True
        for number, line in enumerate(lines, start=1):
            if line.strip():
                if is_first and not _is_json(line):
                    raise ConfigurationError(
                        f"{path}: line {number} is not JSON; rows are JSON objects, one a line. "
                        "For a CSV file, say --csv"
                    )
                is_first = False
                yield number, partial(read_row, line, number)


def _read_table(
    path: Path, dialect: "CsvDialect", package: Path
) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    """Yield the number of each row of a CSV file, and what gives it by the names of fields.

    Columns of text fields are read as texts, also if they look like numbers.
    """
    from gnomon.pipeline.datasets.contract_columns import fields_of_columns, read_texts_of
    from gnomon.pipeline.datasets.dataset import Dataset
    from gnomon.runtime.packages.package import Package

    inputs = Package.open(package, None).profile.inputs
    table = Dataset.from_csv(path, read_texts_of(path, dialect, inputs)).table
    names = fields_of_columns(table.column_names)
    known = {field.name for field in inputs}
    if others := [column for column, name in names.items() if name not in known]:
        shown = printable(", ".join(others))
        click.echo(f"columns that are no inputs of the package are left out: {shown}", err=True)
    table = table.rename_columns(list(names.values()))
    table = table.select([name for name in names.values() if name in known])
    number = 0
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        for row in batch.to_pylist():
            number += 1
            yield number, partial(dict, row)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def read_row(line: bytes, number: int) -> dict[str, Any]:
    """Return a line's object.

    Raises:
        InvalidInput: the line is not an object, or has a name twice.
    """
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise InvalidInput(f"line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InvalidInput(f"line {number} should be an object with a value for each field")
    try:
        check_unique_names(line, len(row), row.values())
    except InvalidInput as error:
        raise InvalidInput(f"line {number} is refused: {error}", details=error.details) from error
    return row
