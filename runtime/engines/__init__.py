"""Engines: each runs models of one format."""

from gnomon.runtime.engines.base import Engine, EngineClosed, available_engines, load_engine

__all__ = ["Engine", "EngineClosed", "available_engines", "load_engine"]
