"""Who may speak with the hub: its authority, tokens, keys, and the gate before every call."""
