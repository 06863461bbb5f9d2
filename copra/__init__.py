"""copra: rebuild, audit, train and evaluate CoPRA on protein-RNA binding affinity."""

__version__ = "0.1.0"
