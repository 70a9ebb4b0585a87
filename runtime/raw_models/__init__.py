"""Raw model files: finding them, deriving contracts from their tensors, packaging them."""
