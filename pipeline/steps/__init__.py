"""Pipelines: builds of steps with typed artifacts, their runs, and when they run by themselves."""
