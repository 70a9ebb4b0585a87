"""The nodes: what the hub wants of them, what they report, what they counted."""
