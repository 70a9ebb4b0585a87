"""A server in this process for the clients."""

from tests.server.serving.conftest import builder, package, rest, served, server

__all__ = ["builder", "package", "rest", "served", "server"]
