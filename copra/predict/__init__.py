"""For a person with one structure: a prediction, a scan of mutations, a page to look at."""
