"""Tables, files and queries: what they hold, and one name for what they hold."""
