"""A server whose true percentiles are known, to check load generators with."""
