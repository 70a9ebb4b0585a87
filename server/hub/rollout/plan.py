"""The plan of a rollout: its steps and its gates."""

from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gnomon.runtime.routing.routes import WEIGHT_TOTAL
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.rollout.criteria import Gates
from gnomon.server.hub.store.limits import Count

_Weight = Annotated[int, Field(ge=1, le=WEIGHT_TOTAL)]


class RolloutPlan(BaseModel):
    """The candidate's share of the traffic, step by step in parts per 1,000, and their gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[_Weight, ...] = Field(
        default=(100, 500, WEIGHT_TOTAL), min_length=1, max_length=32
    )
    gates: Gates = Gates()
    staging_seconds: Count = 600
    """How long nodes in touch may take to fetch and try the candidate before the first step."""

    @field_validator("steps")
    @classmethod
    def _rising_to_the_whole(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        rising = all(low < high for low, high in pairwise(steps))
        if not rising or steps[0] < 1 or steps[-1] != WEIGHT_TOTAL:
            raise ValueError(
                f"steps are {list(steps)}; they should rise, start at 1 or more, and end at "
                f"{WEIGHT_TOTAL} (parts per 1,000)"
            )
        return steps


class RolloutRequest(RolloutPlan):
    """A request for a rollout of a model's version."""

    model: str
    version: str
    environment: str = PRODUCTION

    @property
    def plan(self) -> RolloutPlan:
        """Return the plan alone."""
        return RolloutPlan(steps=self.steps, gates=self.gates, staging_seconds=self.staging_seconds)
