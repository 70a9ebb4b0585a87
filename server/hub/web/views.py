"""Data of the pages, from one consistent state of the database."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, select

from gnomon.runtime.errors import UnknownModel
from gnomon.server.hub import placements
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.access.nodes import listing as list_nodes
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.monitoring import alerts, drift, losses
from gnomon.server.hub.monitoring.evaluation import ALL_MOVED, SOURCE_MOVED
from gnomon.server.hub.rollout import listing
from gnomon.server.hub.store import audit, schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.rollout_state import ACTIVE
from gnomon.server.hub.versions import approvals, catalogue, decommission
from gnomon.server.hub.web.chart_data import drift_charts, error_chart
from gnomon.server.hub.webhooks import targets

_AUDIT_RECORDS = 12
_FIELDS_ON_OVERVIEW = 8
_INTERVALS_ON_CHARTS = 200
#: A node that has not called for so long is shown as out of touch.
_SILENT_MS = 120_000
_OUTCOMES = ("answered", "refused", "failed", "fallback", counts.UNREAD)


def overview(connection: Connection) -> dict[str, Any]:
    """Return what the first page shows."""
    models = [_model_row(connection, model) for model in catalogue.models(connection)]
    return {
        "models": models,
        "figures": [_figures(connection, model["name"], _FIELDS_ON_OVERVIEW) for model in models],
        "alerts": alerts.find(connection, open_only=True, limit=50),
        "rollouts": listing.find(connection, limit=6),
        "nodes": nodes(connection),
        "counts": count_rows(counts.current(connection)),
        "webhooks": targets.listing(connection),
        "audit": audit.listing(connection, None, _AUDIT_RECORDS),
    }


def model_page(connection: Connection, name: str) -> dict[str, Any]:
    """Return what a model's page shows.

    Raises:
        UnknownModel: if there is no such model.
    """
    known = [one for one in catalogue.models(connection) if one.name == name]
    if not known:
        raise UnknownModel(f"there is no model {name!r} in the registry")
    return {
        "model": _model_row(connection, known[0]),
        "versions": catalogue.versions(connection, name),
        "approved": approvals.of_model(connection, name),
        "decommissioned": decommission.of_model(connection, name),
        "placements": placements.listing(connection, name),
        "figures": _figures(connection, name, None),
        "alerts": alerts.find(connection, model=name, limit=100),
        "rollouts": listing.find(connection, name, limit=20),
        "counts": count_rows(counts.by_outcome(connection, name)),
        "losses": _loss_rows(connection, name),
        "refusals": _refusals(connection, name),
    }


def nodes(connection: Connection) -> list[dict[str, Any]]:
    """Return the nodes, with whether each is in touch and has its desired state."""
    oldest = now_ms() - _SILENT_MS
    rows = []
    for node in list_nodes(connection):
        if node.role != "node":
            continue
        seen = node.last_seen_at
        status = "in service"
        if node.revoked_at is not None:
            status = "revoked"
        elif seen is None or seen < oldest:
            status = "out of touch"
        elif node.refused_generation and node.refused_generation >= node.generation:
            status = "refused"
        elif node.reported_generation < node.generation:
            status = "catching up"
        rows.append({**asdict(node), "status": status})
    return rows


def count_rows(rows: Sequence[counts.OutcomeCount]) -> list[dict[str, Any]]:
    """Return rows by model, version, node and shadow, with a column an outcome and their sum."""
    table: dict[tuple[str, str, str, bool], Counter[str]] = defaultdict(Counter)
    for row in rows:
        key = (row.model, row.version, row.node, row.shadow)
        table[key][row.outcome] += row.rows
    names = ("model", "version", "node", "shadow")
    return [
        {
            **dict(zip(names, key, strict=True)),
            **{outcome: table[key][outcome] for outcome in _OUTCOMES},
            "total": table[key].total(),
        }
        for key in sorted(table)
    ]


def _model_row(connection: Connection, model: catalogue.ModelSummary) -> dict[str, Any]:
    name, version = model.name, model.in_service
    formats = connection.scalars(
        select(schema.version.c.format)
        .where(schema.version.c.name == name, schema.version.c.version == version)
        .order_by(schema.version.c.format)
    ).all()
    placed = placements.in_service(connection, name, PRODUCTION)
    rollout = connection.execute(
        select(schema.rollout.c.candidate, schema.rollout.c.weight, schema.rollout.c.state).where(
            schema.rollout.c.model == name,
            schema.rollout.c.environment == PRODUCTION,
            schema.rollout.c.state.in_(ACTIVE),
        )
    ).first()
    open_alerts = connection.scalar(
        select(func.count()).where(schema.alert.c.model == name, schema.alert.c.closed_at.is_(None))
    )
    elsewhere = {place: one for place, one in model.environments.items() if place != PRODUCTION}
    return {
        **asdict(model),
        "elsewhere": elsewhere,
        "formats": formats,
        "since": placed.started_at if placed else None,
        "rollout": rollout,
        "open_alerts": open_alerts,
        "error": losses.by_version(connection, schema.loss.c.model == name).get(version or ""),
    }


def _figures(connection: Connection, name: str, most: int | None) -> dict[str, Any]:
    alarmed: dict[str, set[str]] = defaultdict(set)
    for alert in alerts.find(connection, model=name, open_only=True):
        if alert.kind in (SOURCE_MOVED, ALL_MOVED):
            alarmed[alert.field].add(alert.source)
    rows = drift.series(connection, name, None, None, _INTERVALS_ON_CHARTS)
    charts = drift_charts(rows, alarmed)
    by_day = losses.by_day(connection, name)
    return {
        "name": name,
        "status": drift.status(connection, name),
        "drift": charts[:most],
        "hidden": len(charts) - len(charts[:most]),
        "error": error_chart(by_day),
        "versions": list(by_day),
    }


def _loss_rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    found = losses.by_version(connection, schema.loss.c.model == name)
    return [{"version": version, **one.to_dict()} for version, one in sorted(found.items())]


def _refusals(connection: Connection, name: str) -> list[dict[str, Any]]:
    refusal = schema.refusal.c
    rows = connection.execute(
        select(
            refusal.node,
            refusal.at,
            refusal.field,
            refusal.rule,
            refusal.value,
            refusal.expected,
            refusal.request_id,
        )
        .where(refusal.model == name)
        .order_by(refusal.position.desc())
        .limit(20)
    )
    return [dict(row) for row in rows.mappings()]
