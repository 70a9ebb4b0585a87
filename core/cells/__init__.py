"""What rows are counted into: each field's cells, how they lie in memory, the loop that counts."""
