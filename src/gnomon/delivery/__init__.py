"""What joins build and hub: test deployments, publishing, replays, runs."""
