"""Moving traffic to another version, step by step, each behind its gate."""
