"""PRI30k: the pre-training pairs, from BioLiP2 or from the structures, and what sets them apart from the published."""
