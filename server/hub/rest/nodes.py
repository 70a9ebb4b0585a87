"""Routes of nodes: who is enrolled, tokens, events, counts and labels."""

from typing import Annotated

from fastapi import APIRouter, Query

from gnomon.server.hub.access import enrolment_tokens, nodes
from gnomon.server.hub.fleet import unknown_nodes
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.monitoring import labels
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.rest.answers import AdoptedNode, EnrolmentToken, IngestedLabels, Revocation
from gnomon.server.hub.rest.bodies import AdoptionBody, LabelsBody, TokenBody
from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    ServicesDependency,
)

nodes_router = APIRouter(tags=["nodes"])

_Limit = Annotated[int, Query(ge=1, le=10_000)]


@nodes_router.get("/nodes")
def list_nodes(database: DatabaseDependency) -> list[nodes.NodeRecord]:
    """List nodes and builders that enrolled, and what each last reported."""
    with database.read() as connection:
        return nodes.listing(connection)


@nodes_router.post("/nodes/{name}/revoke")
def revoke_node(name: str, database: DatabaseDependency, actor: ActorDependency) -> Revocation:
    """Revoke all certificates issued so far to a name."""
    nodes.revoke(database, actor, name)
    return Revocation(name, revoked=True)


@nodes_router.post("/nodes/{name}/adopt", status_code=201)
def adopt_node(
    name: str, body: AdoptionBody, database: DatabaseDependency, actor: ActorDependency
) -> AdoptedNode:
    """Enrol a node again that this hub has lost, with the certificate that it has."""
    with database.change(actor) as change:
        key = unknown_nodes.adopt(change, name, body.environment, body.key)
    return AdoptedNode(name, body.environment, key)


@nodes_router.post("/tokens", status_code=201)
def create_token(
    body: TokenBody, services: ServicesDependency, actor: ActorDependency
) -> EnrolmentToken:
    """Make a one-time token; it is shown only now."""
    token = enrolment_tokens.create(
        services.database,
        actor,
        body.role,
        body.name or enrolment_tokens.ANY_NAME,
        body.lifetime_seconds,
        body.environment,
        body.models,
    )
    addresses = services.addresses
    return EnrolmentToken(
        token=token,
        fingerprint=addresses.fingerprint,
        authority=services.authority.certificate_pem.decode(),
        enrolment=addresses.enrolment,
        sync=addresses.sync,
    )


@nodes_router.get("/events")
def list_events(
    database: DatabaseDependency, node: str | None = None, limit: _Limit = 100
) -> list[nodes.EventRecord]:
    """List what nodes said has happened, newest first."""
    with database.read() as connection:
        return nodes.events(connection, node, limit)


@nodes_router.get("/counts")
def count_rows(
    database: DatabaseDependency,
    model: str | None = None,
    current: bool = False,
    limit: Annotated[int | None, Query(ge=1, le=100_000)] = None,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> list[counts.OutcomeCount]:
    """Count rows by model, version, node, shadow and outcome; exact, from the windows.

    `current` leaves out versions that are neither in service nor rolled out now.
    """
    with database.read() as connection:
        if current and model is None:
            return counts.current(connection)
        return counts.by_outcome(connection, model, limit, offset)


@nodes_router.post("/labels", status_code=201)
def add_labels(
    body: LabelsBody, database: DatabaseDependency, actor: ActorDependency
) -> IngestedLabels:
    """Add labels; a label that is sent again counts once, and another value corrects it."""
    actor.check("label", body.model)
    rows = [labels.LabelRow(body.model, one.request_id, one.at, one.value) for one in body.labels]
    with database.write() as connection:
        ingested = labels.ingest(connection, rows, LabelSource(actor.name, is_node=False))
    return IngestedLabels(**ingested._asdict())
