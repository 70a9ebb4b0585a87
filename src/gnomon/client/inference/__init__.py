"""Predictions from a server over gRPC: rows in, answers out."""
