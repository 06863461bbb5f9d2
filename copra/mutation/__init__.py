"""Mutation effects: what ddG is measured, predicted without and with training on ddG."""
