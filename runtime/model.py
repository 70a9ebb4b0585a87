"""A model in service: package, contracts, packing and engine, ready to answer."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gnomon.runtime.package import Package


class Model:
    """One loaded package. Threads may share it; it records nothing.

    Raises:
        EngineError: the engine cannot load the model.
        PackageError: the profile's contract or the packing contradicts itself.
    """

    def __init__(self, package: Package) -> None:
        self.package = package

    @property
    def reference(self) -> str:
        """Return `name@version`."""
        return self.package.reference

    @property
    def digest(self) -> str:
        """Return the package's digest."""
        return self.package.digest

    def warm_up(self) -> None:
        """Run the golden rows as often as the manifest wants, so that first callers do not wait."""
        raise NotImplementedError

    def predict_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of one row by name, unrecorded.

        Raises:
            InvalidInput: the row breaks the contract.
            InvalidOutput: the answer breaks the contract of the outputs.
            EngineError: the engine failed.
        """
        raise NotImplementedError

    def predict_columns(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of many rows by name, unrecorded; raises as `predict_row`."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back the engine; a second call does nothing."""
        raise NotImplementedError
