"""The runtime: the packages of this process, and the one way to a prediction.

contract (inputs) → engine → contract (outputs) → window; a refusal, a failure and a fallback are
counted as exactly as an answer.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from gnomon.runtime.model import Model
from gnomon.runtime.package import Package
from gnomon.runtime.prediction import Prediction, Predictions
from gnomon.runtime.routes import Route
from gnomon.runtime.sink import TelemetrySink


class Runtime:
    """Loads packages and predicts along routes. Threads may share it.

    `checkpoint_seconds`: an open window goes to the sink after so many seconds even if its interval
    has not ended, so that a crash loses little.
    """

    def __init__(self, sink: TelemetrySink, *, checkpoint_seconds: float = 10.0) -> None:
        self._sink = sink

    def load(self, package: Package, *, check_golden: bool = False) -> Model:
        """Make a package ready to answer; loading a digest again returns what is there.

        Raises:
            EngineError: the engine cannot load it.
            GoldenMismatch: with `check_golden`, where it does not reproduce its golden samples.
        """
        raise NotImplementedError

    def unload(self, digest: str) -> None:
        """Close a package that no route names; its windows are flushed to the sink.

        Raises:
            Conflict: a route in service still needs it.
        """
        raise NotImplementedError

    def apply(self, routes: Iterable[Route]) -> None:
        """Replace all routes at once: a call in progress ends on the old ones.

        Raises:
            UnknownModel: a route needs a package that is not loaded; nothing was changed.
        """
        raise NotImplementedError

    @property
    def routes(self) -> Mapping[str, Route]:
        """Return the routes in service by name."""
        raise NotImplementedError

    @property
    def models(self) -> Mapping[str, Model]:
        """Return the loaded models by digest."""
        raise NotImplementedError

    def predict(
        self,
        route: str,
        row: Mapping[str, Any],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> Prediction:
        """Answer one row.

        Args:
            route: the public model name.
            row: value by field; text for a category; None or NaN is missing.
            request_id: what labels will be joined by; made here if None.
            key: whose answers stick to one target (a customer); None: by chance.
            at: the data's own time, epoch seconds or datetime (naive: UTC); None: now.

        Raises:
            UnknownModel: there is no such route.
            InvalidInput: the row breaks the contract; `details` has an entry a violation.
            EngineError: the engine failed and the route has no fallback.
            InvalidOutput: the answer breaks its contract and the route has no fallback.
        """
        raise NotImplementedError

    def predict_columns(
        self,
        route: str,
        columns: Mapping[str, NDArray[Any]],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> Predictions:
        """Answer many rows, one array a field; one bad row refuses the request.

        Categories are object or string arrays. Arguments and errors as in `predict`; a request
        without rows raises `InvalidInput` and counts as one refused row.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """Close all open windows and batches and hand them to the sink.

        Raises:
            StorageError: the sink cannot take them; they are kept and offered again.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Flush, stop the shadows and close all models; a second call does nothing."""
        raise NotImplementedError
