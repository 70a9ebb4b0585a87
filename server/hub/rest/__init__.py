"""The hub's doors for people: REST under `/api/v1` and the web page."""
