"""Bytes: which files are wanted, how they are brought and verified. Nothing is parsed; only this room reaches out."""
