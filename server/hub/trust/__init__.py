"""The hub's signed metadata: made, signed, offered to nodes, and taken back from them."""
