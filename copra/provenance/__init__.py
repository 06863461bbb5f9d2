"""Fingerprints, audit and trace: every label walked back to its source."""
