"""How a reference is made from data: edges of bins, design effects."""
