"""Engines: each runs models of one format."""

from gnomon.runtime.engines.base import Engine, available_engines, load_engine

__all__ = ["Engine", "available_engines", "load_engine"]
