"""The drift detectors against those in common use."""
