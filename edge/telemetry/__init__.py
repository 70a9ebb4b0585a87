"""What a node has to tell, kept until the hub has it."""
