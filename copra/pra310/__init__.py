"""Judgement: from measurements to labelled records, one decision row per step."""
