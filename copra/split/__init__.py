"""Clusters, folds and leakage: who may stand with whom on one side of a split."""
