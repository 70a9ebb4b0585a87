"""`gnomon registry`: its commands, each from the module of what it is about."""

import click

from gnomon.command.registry import comparison, lifecycle, lineage, naming, replay, runs, search


@click.group()
def registry() -> None:
    """Find, name, compare and trace versions; see what ran when."""


for _command in (
    search.models,
    search.versions,
    search.at,
    lineage.show_lineage,
    comparison.compare,
    naming.alias,
    naming.tag,
    lifecycle.approve,
    lifecycle.withdraw,
    lifecycle.approvals,
    lifecycle.decommission,
    runs.runs,
    replay.archive,
    replay.replay,
):
    registry.add_command(_command)
