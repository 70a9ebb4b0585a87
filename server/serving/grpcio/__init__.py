"""The gRPC frontend on grpcio."""
