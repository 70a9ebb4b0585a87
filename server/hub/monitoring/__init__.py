"""What the windows and labels say: drift, errors, alerts."""
