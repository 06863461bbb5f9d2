"""Transcription only: one source row in, measurement rows or a reject out."""
