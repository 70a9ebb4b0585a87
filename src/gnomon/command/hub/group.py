"""`gnomon hub`: its commands, each from the module of what it is about."""

import click

from gnomon.command.hub import (
    alerts,
    audit,
    environments,
    maintenance,
    nodes,
    principals,
    process,
    rollouts,
    transfer,
    trust,
    webhooks,
)


@click.group()
def hub() -> None:
    """Run a hub, and call one."""


for _command in (
    process.run,
    maintenance.backup,
    maintenance.restore,
    maintenance.migrate,
    maintenance.doctor,
    maintenance.sweep,
    trust.token,
    trust.trust,
    trust.untrust,
    nodes.nodes,
    nodes.revoke,
    nodes.adopt,
    nodes.counts,
    environments.environments,
    environments.move,
    environments.policy,
    rollouts.place,
    rollouts.retire,
    rollouts.rollout,
    rollouts.rollouts,
    rollouts.abort,
    rollouts.pause,
    rollouts.resume,
    rollouts.promote,
    rollouts.retry,
    alerts.alerts,
    alerts.acknowledge,
    alerts.close,
    principals.principal,
    principals.sign_in,
    audit.audit,
    webhooks.webhook,
    transfer.export,
    transfer.import_command,
):
    hub.add_command(_command)
