"""A server in this process for the clients."""

from tests.server.serving.conftest import package, rest, served, server

__all__ = ["package", "rest", "served", "server"]
