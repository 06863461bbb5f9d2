"""Metrics, tables, figures and the report."""
