"""The frontends that serve predictions."""
