"""The drift detectors beside what people use."""
