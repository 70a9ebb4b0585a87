"""`gnomon agent`: an agent as a process of its own, and what it says of itself."""
