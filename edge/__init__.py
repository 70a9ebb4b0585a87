"""What makes a process a node: identity, sync, slots, spool; the embedded agent."""
