"""Results of changes that no list or look-up returns."""

from dataclasses import dataclass

from gnomon.server.hub.monitoring.drift import DriftInterval, MonitorStatus


@dataclass(frozen=True, slots=True)
class AddedKey:
    """A builder's public key, in hex; `added` is false if it was trusted already."""

    key: str
    added: bool


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A key that is not trusted any more."""

    key: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Revocation:
    """A node or principal whose certificates or key are not accepted any more."""

    name: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that was removed."""

    name: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Retirement:
    """Which version was in service until now."""

    model: str
    version: str
    environment: str


@dataclass(frozen=True, slots=True)
class PlacementChange:
    """The version that should be in service; `changed` is false if it was already."""

    model: str
    version: str
    environment: str
    changed: bool


@dataclass(frozen=True, slots=True)
class DecommissionResult:
    """A decommissioned version, and what still runs it."""

    model: str
    version: str
    forced: bool
    uses: list[str]


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """A one-time token, which is shown only now, with what a node needs to enrol with it."""

    token: str
    fingerprint: str
    authority: str
    enrolment: str
    sync: str


@dataclass(frozen=True, slots=True)
class IngestedLabels:
    """What became of labels.

    `corrected` were known with another value, which the caller may replace; `contradicting` are the
    requests of those that it may not. Of the new ones, `waiting` name requests of which no
    prediction is known; `refused` were not stored, since too many wait already.
    """

    new: int
    repeated: int
    corrected: int
    waiting: int
    refused: int
    contradicting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdoptedNode:
    """A node that was enrolled again with the key that it has: the SHA-256 of it, in hex."""

    name: str
    environment: str
    key: str


@dataclass(frozen=True, slots=True)
class MovedNode:
    """A node that was moved from one environment to another."""

    name: str
    environment: str
    previous: str


@dataclass(frozen=True, slots=True)
class CreatedPrincipal:
    """A principal and its API key, which is shown only now."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A path on the hub's web page that signs in once, and for how long it may be used."""

    path: str
    seconds: int


@dataclass(frozen=True, slots=True)
class NamedGrant:
    """A role given to, or taken from, a principal."""

    name: str
    role: str
    models: str
    environments: str


@dataclass(frozen=True, slots=True)
class CreatedWebhook:
    """A webhook and the secret that signs its deliveries, which is shown only now."""

    name: str
    events: list[str]
    models: str
    secret: str


@dataclass(frozen=True, slots=True)
class RetriedDelivery:
    """A delivery that is tried again, or a test."""

    name: str
    delivery: str
    state: str


@dataclass(frozen=True, slots=True)
class ModelDrift:
    """A model's drift, interval by interval, and how far the monitor has come."""

    status: MonitorStatus
    intervals: list[DriftInterval]


@dataclass(frozen=True, slots=True)
class DailyLoss:
    """The error of a version's predictions against labels on a day (its start, Unix ms)."""

    version: str
    day: int
    count: int
    mean_absolute_error: float | None
    mean_error: float | None
    mean_squared_error: float | None
