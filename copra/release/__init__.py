"""The datasets of a run as others get them: tables, splits, metadata, and nothing that a licence forbids."""
