"""Language models, run once per distinct sequence."""
