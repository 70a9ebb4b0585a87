"""Who may call the hub: its certificate authority, tokens, keys, nodes and environments."""
