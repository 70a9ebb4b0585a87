"""The contract: rules compiled to flat arrays, and the loops that check rows and columns."""

from gnomon.core.contract.contract import Contract

__all__ = ["Contract"]
