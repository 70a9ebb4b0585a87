"""Tables, files and queries: their contents, and fingerprints of them."""
