"""The centre: registry, rollouts, monitor, alerts, labels, audit."""
