"""Applies a function to parts of a dataset in processes of this machine, or on a Dask cluster."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import Any, TypeVar

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.extras import missing_extra

__all__ = ["in_processes", "on_cluster"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    workers: int,
) -> Callable[[Callable[[Item], Result], Sequence[Item]], Iterator[Result]]:
    """Return a function that applies another to items in this number of processes."""

    def run(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if workers <= 1 or len(items) <= 1:
            yield from map(function, items)
            return
        with ProcessPoolExecutor(min(workers, len(items)), get_context("spawn")) as pool:
            yield from pool.map(function, items)

    return run


def on_cluster(
    address: str,
) -> Callable[[Callable[[Item], Result], Sequence[Item]], Iterator[Result]]:
    """Return a function that applies another to items on the Dask cluster of `address`.

    Its workers need Gnomon, and the files under the same paths. A client that reaches a scheduler
    can run code on its workers: let it listen only locally, or with Dask's own TLS.

    Raises:
        ConfigurationError: dask.distributed is not installed, or there is no scheduler.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise ConfigurationError(missing_extra("a cluster", "dask.distributed", "dask")) from error

    def run(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        try:
            client = distributed.Client(address, timeout="30s", set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"there is no Dask scheduler at {address!r} (such as tcp://host:8786): {error}"
            ) from error
        with client:
            futures = client.map(function, items, pure=False, retries=2)
            for future in futures:
                yield future.result()

    return run
