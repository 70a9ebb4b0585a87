"""The gRPC services: enrolment, sync, registry."""
