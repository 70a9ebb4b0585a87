"""What commands share: output, options of one kind, references to versions."""
