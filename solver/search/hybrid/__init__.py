"""Hybrid: bounds and proofs of pipelines whose stages are groups of devices."""
