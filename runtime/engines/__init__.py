"""Engines: each runs models of one format."""

from gnomon.runtime.engines.base import (
    Engine,
    EngineClosed,
    RowRunner,
    available_engines,
    load_engine,
)

__all__ = ["Engine", "EngineClosed", "RowRunner", "available_engines", "load_engine"]
