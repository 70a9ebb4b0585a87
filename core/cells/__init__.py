"""The cells that rows are counted into: their layout in memory, and the loops that count."""
