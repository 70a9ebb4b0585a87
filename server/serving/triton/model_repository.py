"""Triton's model repository: models in service, and models to load and unload by name.

Clients can load only models that the operator has named: they give a name, never a path, a file or
a configuration. With a hub, they can load none. The frontends check who may call this.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import Conflict, InvalidInput
from gnomon.runtime.routing.routes import Route
from gnomon.runtime.runtime import Runtime

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
#: Parameters of a request to unload; they have no effect, since no model depends on another.
_KNOWN_PARAMETERS = ("unload_dependents",)


class ModelState(Protocol):
    """A version of a model: whether it is in service, and if not, why."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The version."""

    @property
    def is_ready(self) -> bool:
        """Whether it is in service."""

    @property
    def reason(self) -> str:
        """Why it is not."""


class ModelShelf(Protocol):
    """The models that a node can put in service by name."""

    def index(self) -> Sequence[ModelState]:
        """Return all versions."""

    def load(self, model: str) -> None:
        """Put a model in service, reading its files again.

        Raises:
            UnknownModel: nothing of that name is there.
            GnomonError: it cannot be opened or loaded; nothing has changed.
        """

    def unload(self, model: str) -> None:
        """Take a model out of service until it is loaded again.

        Raises:
            UnknownModel: nothing of that name is there.
        """


class _ServedVersion(NamedTuple):
    """A version in service."""

    name: str
    version: str
    is_ready: bool = True
    reason: str = ""


class ModelRepository:
    """Answers for one runtime and its shelf, if it has one. Threads may share it."""

    def __init__(self, runtime: Runtime, shelf: ModelShelf | None = None) -> None:
        self._runtime = runtime
        self._shelf = shelf

    def index(self, request: oip.RepositoryIndexRequest) -> oip.RepositoryIndexResponse:
        """Return every model that is in service or can be loaded, with its state.

        Raises:
            InvalidInput: a repository was named.
        """
        _check_repository(request.repository_name)
        answer = oip.RepositoryIndexResponse()
        for one in self._shelf.index() if self._shelf else self._served():
            if one.is_ready or not request.ready:
                state = READY if one.is_ready else UNAVAILABLE
                answer.models.add(
                    name=one.name, version=one.version, state=state, reason=one.reason
                )
        return answer

    def load(self, request: oip.RepositoryModelLoadRequest) -> oip.RepositoryModelLoadResponse:
        """Put a model in service, from the path that the operator configured.

        Raises:
            Conflict: a hub decides what is in service.
            InvalidInput: the request brings a configuration or a file of its own.
            GnomonError: as `ModelShelf.load`.
        """
        shelf = self._changed(request)
        for name in request.parameters:
            raise InvalidInput(
                f"parameter {name[:80]!r} is not taken: a model is what its package says; "
                "leave the parameters empty"
            )
        shelf.load(request.model_name)
        return oip.RepositoryModelLoadResponse()

    def unload(
        self, request: oip.RepositoryModelUnloadRequest
    ) -> oip.RepositoryModelUnloadResponse:
        """Take a model out of service; calls under way are answered.

        Raises:
            Conflict: a hub decides what is in service, or another route needs the package.
        """
        shelf = self._changed(request)
        for name in request.parameters:
            if name not in _KNOWN_PARAMETERS:
                raise InvalidInput(
                    f"parameter {name[:80]!r} is not known; right would be one of "
                    f"{', '.join(_KNOWN_PARAMETERS)}, or none"
                )
        shelf.unload(request.model_name)
        return oip.RepositoryModelUnloadResponse()

    def _changed(self, request: Any) -> ModelShelf:
        """Return the shelf for a change."""
        _check_repository(request.repository_name)
        if self._shelf is None:
            raise Conflict(
                "the hub decides which models are in service here; use its rollouts instead"
            )
        return self._shelf

    def _served(self) -> list[_ServedVersion]:
        """Return the models in service, if the node has no shelf."""
        models = self._runtime.models
        return [
            _ServedVersion(name, version)
            for name, route in sorted(self._runtime.routes.items())
            for version in sorted({models[d].version for d in _answering(route) if d in models})
        ]


def _answering(route: Route) -> tuple[str, ...]:
    """Return the digests of the packages that clients may use."""
    shares = [target.digest for target in route.targets if target.weight]
    return (*shares, *route.versions)


def _check_repository(name: str) -> None:
    if name:
        raise InvalidInput(
            f"repository {name[:80]!r} is not known; there is but one, so leave the name empty"
        )
