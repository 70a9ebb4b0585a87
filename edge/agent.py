"""The embedded agent: models within a program, kept up to date by a hub, or loaded from a folder.

with Agent(name="device-1", data="agent-data", hub="127.0.0.1:8602", token=token,
           authority_file="authority.pem") as agent:
    agent.wait_ready(30)
    answer = agent.predict({"distance": 1400, "carrier": "UA"}, model="eta")
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.standalone_node import NodeProtocol, StandaloneNode, open_node
from gnomon.edge.status import NodeStatus
from gnomon.edge.status_writer import StatusThread
from gnomon.runtime.errors import ConfigurationError, NotReady
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.prediction import Prediction
from gnomon.runtime.table_prediction import predict_any


class Agent:
    """Predicts in this process. Threads may share it; as a context manager it starts and stops.

    With a hub, it predicts with the packages that it has, whether or not the hub can be reached.

    Args:
        name: the agent's name at the hub.
        data: folder of its key, packages and spool; one process at a time may use it.
        hub: the hub's sync address, `host:port`; empty: no hub.
        token: the one-time token; needed until the agent has enrolled. A new one, made for this
            name, replaces a certificate that the hub refuses.
        package: without a hub, one folder of a package or several.
        trust: without a hub, the keys that must have signed them; None takes unsigned packages.
        settings: other settings of `NodeSettings` by name, such as `authority_file` or
            `authority_fingerprint`, which are needed until the agent has enrolled.

    Raises:
        ConfigurationError: settings are missing, out of range, or contradict each other.
        StorageError: the data folder cannot be used, or another process uses it.
        PackageError: a package is damaged, untrusted, or does not reproduce its golden samples.
    """

    def __init__(
        self,
        *,
        name: str = "agent",
        data: str | Path = "agent-data",
        hub: str = "",
        token: str = "",
        package: str | Path | Sequence[str | Path] = (),
        trust: TrustStore | None = None,
        **settings: Any,
    ) -> None:
        paths = (package,) if isinstance(package, str | Path) else tuple(package)
        self._node: NodeProtocol
        self._status: StatusThread | None = None
        if paths and not hub:
            if settings or token:
                named = ", ".join([*settings, *(["token"] if token else [])])
                raise ConfigurationError(f"{named}: these settings are for an agent with a hub")
            self._node = StandaloneNode(name, [Path(path) for path in paths], trust)
            return
        try:
            self._node = open_node(
                NodeSettings(
                    name=name,
                    data_folder=Path(data),
                    hub=hub,
                    token=token,
                    packages=tuple(Path(path) for path in paths),
                    **_paths(settings),
                )
            )
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"agent {name!r}: {error}") from error
        self._status = StatusThread(self._node, Path(data))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Load the packages that are installed and start to call the hub; return at once."""
        self._node.start()
        if self._status is not None:
            self._status.start()

    def stop(self) -> None:
        """Upload as much telemetry as time allows, keep the rest for the next start, and stop."""
        if self._status is not None:
            self._status.stop()
        self._node.stop()

    def wait_ready(self, timeout_seconds: float = 60.0) -> None:
        """Wait until a model is in service.

        Raises:
            NotReady: no model is in service in time; the message says what the agent waits for.
        """
        if not self._node.ready(timeout_seconds):
            status = self._node.status()
            raise NotReady(
                f"agent {status.name!r} has no model in service after {timeout_seconds:g} s: "
                + (status.reason or status.last_error or "the hub has assigned no model yet")
            )

    @overload
    def predict(
        self,
        rows: Mapping[str, Any],
        *,
        model: str | None = None,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        model: str | None = None,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> list[RowOutcome]: ...

    @overload
    def predict(
        self,
        rows: Any,
        *,
        model: str | None = None,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> Any: ...

    def predict(
        self,
        rows: Any,
        *,
        model: str | None = None,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> Any:
        """Predict one row, a list of rows, or the rows of a table.

        One row gives a `Prediction`; a list gives for each row its prediction or the error that
        `Runtime.predict` raises for it; a table gives a table of its kind, in which refused rows
        are marked (`gnomon.runtime.table_prediction.predict_any`).

        Args:
            rows: value by field, text for a category, None is missing; a list of such rows; a
                pandas or polars data frame, a pyarrow table or record batch, a NumPy array, or a
                dict of NumPy arrays.
            model: the public model name; may be left out if only one is in service.
            request_id: joins later labels to the prediction; the agent makes one if None. Row i of
                more than one has `f"{request_id}/{i}"`.
            key: requests with the same key are answered by the same version.
            at: the data's own time, epoch seconds or datetime; None: now.

        Raises:
            GnomonError: as `Runtime.predict`, for one row; of many, only what concerns all.
        """
        route = model or self._only_model()
        runtime = self._node.runtime
        # One row comes a million times for each table.
        if type(rows) is dict and not isinstance(next(iter(rows.values()), None), np.ndarray):
            return runtime.predict(route, rows, request_id=request_id, key=key, at=at)
        return predict_any(runtime, route, rows, request_id=request_id, key=key, at=at)

    def label(
        self,
        request_id: str,
        value: float,
        *,
        model: str | None = None,
        at: datetime | float | None = None,
    ) -> None:
        """Report the true value of a prediction, however late.

        Args:
            request_id: of the prediction.
            value: the true value.
            model: the public model name; may be left out if only one is in service.
            at: when it became known, in the data's own time: epoch seconds or datetime; None: now.

        Raises:
            ConfigurationError: there is no hub for labels.
            InvalidInput: a part is out of bounds.
            StorageError: it cannot be written to the spool.
        """
        self._node.label(model or self._only_model(), request_id, value, at)

    def status(self) -> NodeStatus:
        """Return what the agent is doing: models in service, last step, hub, spool."""
        return self._node.status()

    def _only_model(self) -> str:
        names = self._node.runtime.route_names()
        if len(names) != 1:
            raise NotReady(
                "say which model is meant; in service are " + (", ".join(sorted(names)) or "none")
            )
        return names[0]


def _paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names of files as paths."""
    return {
        name: Path(value) if name.endswith("_file") and isinstance(value, str) else value
        for name, value in settings.items()
    }
