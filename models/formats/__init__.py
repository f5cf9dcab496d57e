"""Readers of published instances."""
