"""One family of errors, by whose fault it was; the one table of what they are called on the wire.

An error's message says what was wrong, where, and what would be right. `details` carries the same,
machine-readable. The text of an exception that is not of this family never leaves the process.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Fault(enum.StrEnum):
    """Whose fault an error is, and so who can mend it."""

    CALLER = "caller"
    PACKAGE = "package"
    HUB = "hub"
    NODE = "node"
    US = "us"


class GnomonError(Exception):
    """Base of all errors that a user of Gnomon meets."""

    fault: ClassVar[Fault] = Fault.US
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.details: tuple[Mapping[str, Any], ...] = tuple(details)


class InvalidInput(GnomonError):
    """The request breaks the inputs' contract; `details` has one entry a violation."""

    fault = Fault.CALLER
    code = "invalid_input"


class NotFound(GnomonError):
    """Nothing of that name is here; `kind` says of what: alert, blob, node, rollout, …"""

    fault = Fault.CALLER
    code = "not_found"

    def __init__(
        self, message: str, *, kind: str = "", details: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, details=details or ([{"kind": kind}] if kind else ()))

    @property
    def kind(self) -> str:
        """What was not found, from the details; empty if they do not say it."""
        return str(next((one["kind"] for one in self.details if "kind" in one), ""))


class UnknownModel(NotFound):
    """No route, model or version of that name is in service here."""

    code = "unknown_model"

    @property
    def kind(self) -> str:
        """Always `model`."""
        return "model"


class NotAllowed(GnomonError):
    """The caller is not who may do this."""

    fault = Fault.CALLER
    code = "not_allowed"


class Unauthenticated(NotAllowed):
    """The caller has not said who they are, or what they said cannot be believed."""

    code = "unauthenticated"


class Conflict(GnomonError):
    """The request conflicts with the present state."""

    fault = Fault.CALLER
    code = "conflict"


class Overloaded(GnomonError):
    """A limit on requests was exceeded; try again later."""

    fault = Fault.CALLER
    code = "overloaded"


class ConfigurationError(GnomonError):
    """A setting is unknown, missing or out of range; the message names it and its source."""

    fault = Fault.CALLER
    code = "configuration"


class NotServed(GnomonError):
    """A call of the protocol that this server does not answer, and will not at another time."""

    fault = Fault.CALLER
    code = "not_served"


class PackageError(GnomonError):
    """A package is incomplete, damaged, or contradicts itself."""

    fault = Fault.PACKAGE
    code = "bad_package"


class UntrustedPackage(PackageError):
    """A package has no signature that this node trusts."""

    code = "untrusted_package"


class InvalidOutput(GnomonError):
    """The model's answer breaks the contract of its outputs, and no fallback was declared."""

    fault = Fault.PACKAGE
    code = "invalid_output"


class EngineError(GnomonError):
    """The engine could not load or run the model."""

    fault = Fault.PACKAGE
    code = "engine"


class HubUnavailable(GnomonError):
    """The hub cannot be reached; the node works on with what it has."""

    fault = Fault.HUB
    code = "hub_unavailable"


class HubError(GnomonError):
    """The hub answered with something that it must not answer."""

    fault = Fault.HUB
    code = "hub"


class UntrustedMetadata(HubError):
    """Metadata or a desired state is not signed as it should be, or is older than what is known."""

    code = "untrusted_metadata"


class ExpiredMetadata(UntrustedMetadata):
    """The newest signed metadata has expired: nothing new is installed until there is newer."""

    code = "expired_metadata"


class StorageError(GnomonError):
    """The node's disk is full, read-only or damaged."""

    fault = Fault.NODE
    code = "storage"


class MemoryExceeded(GnomonError):
    """The model exceeds the memory budget; `details` has what is needed and what is loaded."""

    fault = Fault.NODE
    code = "memory"


class NotReady(GnomonError):
    """The process is starting or draining."""

    fault = Fault.NODE
    code = "not_ready"


#: Wire names by error code: the gRPC status and the HTTP status.
WIRE: Mapping[str, tuple[str, int]] = {
    "invalid_input": ("INVALID_ARGUMENT", 422),
    "not_found": ("NOT_FOUND", 404),
    "unknown_model": ("NOT_FOUND", 404),
    "unauthenticated": ("UNAUTHENTICATED", 401),
    "not_allowed": ("PERMISSION_DENIED", 403),
    "conflict": ("ALREADY_EXISTS", 409),
    "overloaded": ("RESOURCE_EXHAUSTED", 429),
    "configuration": ("INVALID_ARGUMENT", 400),
    "not_served": ("UNIMPLEMENTED", 501),
    "bad_package": ("FAILED_PRECONDITION", 422),
    "untrusted_package": ("FAILED_PRECONDITION", 422),
    "invalid_output": ("FAILED_PRECONDITION", 502),
    "engine": ("INTERNAL", 500),
    "hub_unavailable": ("UNAVAILABLE", 503),
    "hub": ("INTERNAL", 502),
    "untrusted_metadata": ("FAILED_PRECONDITION", 502),
    "expired_metadata": ("FAILED_PRECONDITION", 502),
    "storage": ("RESOURCE_EXHAUSTED", 507),
    "memory": ("RESOURCE_EXHAUSTED", 507),
    "not_ready": ("UNAVAILABLE", 503),
    "internal": ("INTERNAL", 500),
}
