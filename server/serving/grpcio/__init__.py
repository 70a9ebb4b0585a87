"""The gRPC door on grpcio."""
