"""How checked fields become an engine's tensors."""

from gnomon.core.packing.packing import Feature, Packing, Tensor

__all__ = ["Feature", "Packing", "Tensor"]
