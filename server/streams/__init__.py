"""The stream frontend: records from a file, a pipe or a broker in, answers out, at least once."""
