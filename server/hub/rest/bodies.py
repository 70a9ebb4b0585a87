"""Request bodies, decoded strictly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.store.limits import MAXIMUM_VALUE, Time
from gnomon.server.hub.store.rights import ANY, Grant, parse_grant

_Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TokenBody(_Body):
    """A request for a one-time token; without a name, for any that is free."""

    role: str
    name: _Name | None = None
    environment: _Name = PRODUCTION
    models: _Name = ANY
    lifetime_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3_600


class KeyBody(_Body):
    """A builder's or an approver's Ed25519 public key, 32 bytes in hexadecimal.

    `models` is a name or a pattern of the models that it signs for.
    """

    key: Annotated[str, Field(max_length=STORED_ID_CHARACTERS)]
    name: _Name = "builder"
    role: _Name = "builder"
    models: _Name = ANY


class MetadataFile(_Body):
    """Signed metadata of a role, as JSON text."""

    role: _Name
    data: Annotated[str, Field(max_length=5_000_000)]


class MetadataBody(_Body):
    """Metadata that was signed elsewhere: roots, targets, delegated targets."""

    files: Annotated[list[MetadataFile], Field(min_length=1, max_length=64)]


class GrantBody(_Body):
    """A role, for models and environments whose names match the patterns."""

    role: str
    models: _Name = ANY
    environments: _Name = ANY

    @property
    def grant(self) -> Grant:
        """Return the grant that is meant.

        Raises:
            InvalidInput: if it is malformed.
        """
        return parse_grant(self.role, self.models, self.environments)


class PrincipalBody(GrantBody):
    """A principal that uses REST from another machine, and its first role."""

    name: _Name


class WebhookBody(_Body):
    """Where events go: their names or patterns such as `rollout.*`, of models that match."""

    name: _Name
    url: Annotated[str, Field(max_length=2_000)]
    events: Annotated[list[str], Field(max_length=64)] = []
    models: _Name = ANY
    format: Literal["gnomon", "alertmanager", "pagerduty"] = "gnomon"


class ApprovalBody(_Body):
    """For which environment a version is approved, or not any more, and why."""

    environment: _Name = PRODUCTION
    reason: Annotated[str, Field(max_length=1_000)] = ""


class DecommissionBody(_Body):
    """Why a version is not to be rolled out any more; `force`: although something runs it."""

    reason: Annotated[str, Field(max_length=1_000)] = ""
    force: bool = False


class PlacementBody(_Body):
    """The version of a model that should be in service on all nodes of an environment."""

    model: _Name
    version: _Name
    environment: _Name = PRODUCTION


class RetirementBody(_Body):
    """A model, and the environment in which no version of it shall be in service."""

    model: _Name
    environment: _Name = PRODUCTION
    reason: Annotated[str, Field(max_length=1_000)] = ""


class EnvironmentBody(_Body):
    """An environment of a person's own."""

    name: _Name


class PolicyBody(_Body):
    """The risk tiers that need no approval in an environment; null: none needs one."""

    exempt_tiers: Annotated[list[_Name | Literal[""]], Field(max_length=64)] | None


class MoveBody(_Body):
    """The environment that a node should belong to."""

    environment: _Name


class AdoptionBody(_Body):
    """The environment that an unknown node should belong to, and how its key's SHA-256 begins."""

    environment: _Name = PRODUCTION
    key: Annotated[str, Field(pattern="^[0-9a-f]{0,64}$")] = ""


class AliasBody(_Body):
    """A name of a person's own for a version of a model; without a version, for none any more."""

    alias: _Name
    version: _Name | None = None


class TagsBody(_Body):
    """Tags of a version; null takes one away."""

    tags: Annotated[dict[str, str | None], Field(max_length=64)]


class LabelBody(_Body):
    """What turned out to be true for one request; `at`: the data's time, Unix ms or ISO 8601."""

    request_id: Annotated[str, Field(min_length=1, max_length=STORED_ID_CHARACTERS)]
    value: Annotated[float, Field(ge=-MAXIMUM_VALUE, le=MAXIMUM_VALUE)]
    at: Time


class LabelsBody(_Body):
    """Labels of one model."""

    model: _Name
    labels: Annotated[list[LabelBody], Field(max_length=50_000)]
