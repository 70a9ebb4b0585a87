"""How a reference is made from data: edges of bins, design effects."""

from gnomon.core.profiling.builder import build_reference

__all__ = ["build_reference"]
