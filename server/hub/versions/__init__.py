"""The registry: packages, aliases, tags, search, comparison, and what ran when."""
