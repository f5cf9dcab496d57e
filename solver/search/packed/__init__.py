"""Packed: searches over many hybrid pipelines at once, as arrays."""
