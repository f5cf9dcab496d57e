"""Execution: real processes interpret a Program with torch."""
