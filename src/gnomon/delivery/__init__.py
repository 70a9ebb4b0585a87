"""Joins builds and the hub: smoke tests, publishing, replays, runs of pipelines."""
