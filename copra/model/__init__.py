"""Co-Former: pair features, blocks, head."""
