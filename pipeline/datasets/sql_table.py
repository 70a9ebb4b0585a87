"""The rows of an SQL query as a table, through SQLAlchemy.

The connection's URL, with its password, comes from a named environment variable; the name and
the query are recorded as the source, never the URL.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from gnomon.pipeline.datasets.row_encoding import DatasetError
from gnomon.runtime.extras import missing_extra

__all__ = ["query_table", "query_uri"]

_BATCH_ROWS = 1 << 16
#: Dialect → the statement after which it changes nothing; PostgreSQL has an option for it.
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}


def query_uri(query: str, variable: str) -> str:
    """Return the URI by which a manifest names the rows of a query."""
    return f"sql:{variable}?query={quote(' '.join(query.split()), safe='')}"


def query_table(query: str, url: str, variable: str) -> pa.Table:
    """Return all rows of a query; `url` is what the environment variable `variable` says.

    The transaction is read-only if the database knows how, and is rolled back. Rows are fetched in
    batches, so only the table is held.

    Raises:
        DatasetError: the database cannot be asked, SQLAlchemy or a driver is not installed, or the
            columns hold what makes no table. The message never has the URL.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise DatasetError(missing_extra("an SQL query", "SQLAlchemy", "sql")) from error
    where = f"the query at {variable}"
    try:
        engine = sqlalchemy.create_engine(url)
    except Exception as error:
        # SQLAlchemy's message about a URL that it cannot parse may contain the password.
        raise DatasetError(
            f"{variable} should be a database's URL such as postgresql+psycopg://…, with its "
            f"driver installed ({type(error).__name__})"
        ) from None
    try:
        with engine.connect() as connection:
            streamed = connection.execution_options(stream_results=True, postgresql_readonly=True)
            if (statement := _READ_ONLY.get(engine.dialect.name)) is not None:
                streamed.exec_driver_sql(statement)
            result = streamed.exec_driver_sql(query)
            names = list(result.keys())
            parts = [_batch(names, rows) for rows in result.partitions(_BATCH_ROWS)]
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__)
        raise DatasetError(f"{where} failed: {_without(reason, engine.url)}") from None
    except pa.ArrowException as error:
        raise DatasetError(f"{where} gives what makes no table: {error}") from error
    finally:
        engine.dispose()
    try:
        empty = pa.table({name: pa.nulls(0) for name in names})
        return pa.concat_tables(parts or [empty], promote_options="permissive")
    except pa.ArrowException as error:
        raise DatasetError(f"{where} gives columns of changing types: {error}") from error


def _batch(names: Sequence[str], rows: Sequence[Any]) -> pa.Table:
    if len(set(names)) != len(names):
        raise pa.ArrowInvalid(f"column names must differ, got: {', '.join(names)}")
    columns = zip(*rows, strict=True)
    return pa.table(
        {name: pa.array(_plain(column)) for name, column in zip(names, columns, strict=True)}
    )


def _plain(column: Sequence[Any]) -> Sequence[Any]:
    """Return values of one type: decimals become floats if other numbers are among them."""
    present = [value for value in column if value is not None]
    if all(isinstance(value, Decimal) and value.is_finite() for value in present):
        return column
    return [float(value) if isinstance(value, Decimal) else value for value in column]


def _without(message: str, url: Any) -> str:
    """Return a driver's message without the password."""
    password = str(url.password or "")
    return message.replace(password, "…") if password else message
