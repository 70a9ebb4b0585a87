"""A server in this process for the pages that describe one."""

from tests.server.serving.conftest import package, rest, served

__all__ = ["package", "rest", "served"]
