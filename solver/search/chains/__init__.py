"""Chains: stages of one device each over a chain of blocks."""
