"""Who may do what: one table, checked whenever a change writes its audit record.

A right has the name of the action in the audit chain. An action that is not in the table is allowed
only to internal parts of the hub (its gate, its monitor), which act under a plain name. Each grant
is a role, for the models and environments whose names match its patterns. An action that is about
no single model (or environment) needs a grant for all of them.

Scopes bound what may be changed. Any role may read everything.
"""

import enum
import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gnomon.runtime.errors import InvalidInput, NotAllowed

ANY = "*"

#: Actors in the audit chain: the hub's own user, the hub itself, and those whose names begin so.
_RESERVED = ("", "local", "hub")
_RESERVED_PREFIXES = ("oidc:", "token:", "node:", "builder:")

_PATTERN = re.compile(r"[a-z0-9_*-]{1,64}")


class Role(enum.StrEnum):
    """A role."""

    VIEWER = "viewer"
    BUILDER = "builder"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"


class Scope(enum.Flag):
    """What an action is about, by which a grant may be bounded."""

    NOTHING = 0
    MODEL = enum.auto()
    ENVIRONMENT = enum.auto()
    BOTH = MODEL | ENVIRONMENT


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Which roles may take an action besides the admin, and what it is about."""

    roles: frozenset[Role]
    scope: Scope


def _rule(*roles: Role, scope: Scope = Scope.NOTHING) -> AccessRule:
    return AccessRule(frozenset(roles) | {Role.ADMIN}, scope)


_OPERATION = _rule(Role.OPERATOR, scope=Scope.BOTH)
_BUILD = _rule(Role.BUILDER, scope=Scope.MODEL)
_NAMING = _rule(Role.BUILDER, Role.OPERATOR, scope=Scope.MODEL)
_WATCH = _rule(Role.OPERATOR, scope=Scope.MODEL)
_FLEET = _rule(Role.OPERATOR, scope=Scope.ENVIRONMENT)
_APPROVAL = _rule(Role.APPROVER, scope=Scope.BOTH)
_TELLING = _rule(Role.OPERATOR)
_ADMINISTRATION = _rule()

#: Action in the audit chain → who may take it.
RULES: Mapping[str, AccessRule] = {
    "publish": _BUILD,
    "attest": _BUILD,
    "record_run": _BUILD,  # of a pipeline, whose name is matched as a model's
    "tag": _NAMING,
    "set_alias": _NAMING,
    "remove_alias": _NAMING,
    "label": _NAMING,
    "approve": _APPROVAL,
    "withdraw_approval": _APPROVAL,
    "place": _OPERATION,
    "retire": _OPERATION,
    "start_rollout": _OPERATION,
    "abort_rollout": _OPERATION,
    "pause_rollout": _OPERATION,
    "resume_rollout": _OPERATION,
    "promote_rollout": _OPERATION,
    "retry_rollout": _OPERATION,
    "decommission": _WATCH,
    "acknowledge_alert": _WATCH,
    "close_alert": _WATCH,
    "add_silence": _WATCH,
    "end_silence": _WATCH,
    "receive_alert": _WATCH,
    "open_incident": _WATCH,
    "note_incident": _WATCH,
    "resolve_incident": _WATCH,
    "create_token": _FLEET,
    "move_node": _FLEET,
    "adopt_node": _FLEET,
    "revoke": _FLEET,
    "add_webhook": _TELLING,
    "remove_webhook": _TELLING,
    "retry_webhook": _TELLING,
    "test_webhook": _TELLING,
    "set_policy": _ADMINISTRATION,
    "add_environment": _ADMINISTRATION,
    "create_builder_token": _ADMINISTRATION,
    "revoke_builder": _ADMINISTRATION,
    "trust_key": _ADMINISTRATION,
    "revoke_key": _ADMINISTRATION,
    "import_metadata": _ADMINISTRATION,
    "rotate_keys": _ADMINISTRATION,
    "create_principal": _ADMINISTRATION,
    "revoke_principal": _ADMINISTRATION,
    "grant_role": _ADMINISTRATION,
    "take_role": _ADMINISTRATION,
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, for models and environments whose names match the patterns (`*` stands for any)."""

    role: Role
    models: str = ANY
    environments: str = ANY

    def covers(self, scope: Scope, model: str | None, environment: str | None) -> bool:
        """Whether the patterns match what an action is about."""
        scoped = (
            (self.models, model, Scope.MODEL),
            (self.environments, environment, Scope.ENVIRONMENT),
        )
        return all(
            pattern == ANY
            or (part in scope and name is not None and fnmatch.fnmatchcase(name, pattern))
            for pattern, name, part in scoped
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller and its grants."""

    name: str
    grants: tuple[Grant, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def only_reads(self) -> bool:
        """Whether no grant allows any change."""
        return all(grant.role is Role.VIEWER for grant in self.grants)

    def check(self, action: str, model: str | None = None, environment: str | None = None) -> None:
        """Check that a grant allows an action.

        Raises:
            NotAllowed: naming the caller, the action, and the roles that may.
        """
        rule = RULES.get(action)
        if rule is not None and any(
            grant.role in rule.roles and grant.covers(rule.scope, model, environment)
            for grant in self.grants
        ):
            return
        about = (f" of model {model!r}" if model else "") + (
            f" in {environment!r}" if environment else ""
        )
        may = ", ".join(sorted(rule.roles)) if rule else "nobody"
        raise NotAllowed(f"{self.name!r} may not {action.replace('_', ' ')}{about}; may: {may}")


def is_reserved(name: str) -> bool:
    """Return whether a name is the hub's own in the audit chain, in whatever case."""
    plain = name.strip().lower()
    return plain in _RESERVED or plain.startswith(_RESERVED_PREFIXES)


def parse_grant(role: str, models: str = ANY, environments: str = ANY) -> Grant:
    """Return a grant as a person writes it.

    Raises:
        InvalidInput: if the role is unknown, or a pattern is not plain; a viewer has no scope,
            because reading has none.
    """
    if role not in tuple(Role):
        raise InvalidInput(f"role {role[:40]!r} should be one of {', '.join(Role)}")
    for name, pattern in (("models", models), ("environments", environments)):
        if not _PATTERN.fullmatch(pattern):
            raise InvalidInput(
                f"{name} {pattern[:80]!r} should be a name, or a pattern with * such as 'eta-*'"
            )
    if role == Role.VIEWER and (models, environments) != (ANY, ANY):
        raise InvalidInput("a viewer reads everything; models and environments should be '*'")
    return Grant(Role(role), models, environments)
