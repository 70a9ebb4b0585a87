"""The hub's REST interface under `/api/v1`."""
