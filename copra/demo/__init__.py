"""The generator of the synthetic demo archive."""
