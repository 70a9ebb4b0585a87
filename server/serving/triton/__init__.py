"""What Triton's clients ask beyond the Open Inference Protocol."""
