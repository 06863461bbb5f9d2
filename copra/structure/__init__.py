"""Coordinate files to arrays: residues, interfaces, their HDF5 store."""
