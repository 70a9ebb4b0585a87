"""The `trees` engine: ensembles of decision trees, run by the core itself.

A model takes one tensor, `input`, of float64; NaN is a missing value. It gives `prediction` and, if
it has a link function, the raw score too. Outputs of several numbers are float32, as vectors are.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.core.row import Row
from gnomon.core.trees import TreeFileError, TreeModel
from gnomon.runtime.engines.base import EngineClosed
from gnomon.runtime.engines.ort_values import SessionClosed, SessionError
from gnomon.runtime.engines.tree_session import TreeRowRunner, TreeSession
from gnomon.runtime.errors import EngineError
from gnomon.runtime.packages.manifest import Manifest


def load(model: bytes, manifest: Manifest) -> "TreesEngine":
    """Load a file of trees, which is read in place.

    Raises:
        EngineError: the file is malformed, or has no such output.
    """
    return TreesEngine(model, manifest)


class TreesEngine:
    """A model of trees; threads may share it."""

    works_in_caller = True

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        self.reference = manifest.reference
        try:
            self.session = TreeSession(TreeModel(model), manifest.output_tensors)
        except (TreeFileError, SessionError) as error:
            raise EngineError(f"{self.reference}: the trees cannot be loaded: {error}") from error

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        try:
            return self.session.run(tensors)
        except SessionClosed as error:
            raise EngineClosed(f"{self.reference}: the model was unloaded") from error
        except (SessionError, ValueError) as error:
            raise EngineError(f"{self.reference}: {error}") from error

    def row_runner(self, packing: Packing) -> "_RowRunner":
        """Return the way of one row without a Python object but its answer."""
        return _RowRunner(self, packing)

    def close(self) -> None:
        """Take no more calls; the file's memory is given back with the last reference to it."""
        self.session.close()


class _RowRunner:
    def __init__(self, engine: TreesEngine, packing: Packing) -> None:
        self._reference = engine.reference
        names = [tensor.name for tensor in packing.tensors]
        try:
            packers = dict(zip(names, packing.packers, strict=True))
            self._runner = TreeRowRunner(engine.session, packers)
        except SessionError as error:
            raise EngineError(f"{self._reference}: {error}") from error

    def run(self, row: Row) -> list[Any]:
        try:
            return self._runner.run(row)
        except SessionClosed as error:
            raise EngineClosed(f"{self._reference}: the model was unloaded") from error
        except SessionError as error:
            raise EngineError(f"{self._reference}: {error}") from error
