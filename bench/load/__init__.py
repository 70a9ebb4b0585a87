"""Load tests of any server of the Open Inference Protocol."""
