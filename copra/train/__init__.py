"""One training loop, and the jobs that use it."""
