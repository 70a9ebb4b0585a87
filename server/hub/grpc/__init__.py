"""The hub's gRPC interface: servicers that convert, call, and convert back."""
