"""A server in this process for the pages that describe one."""

from tests.server.serving.conftest import builder, package, rest, served

__all__ = ["builder", "package", "rest", "served"]
