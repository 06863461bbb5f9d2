"""Baselines that see an interface as a graph of residues, small and in plain PyTorch."""
