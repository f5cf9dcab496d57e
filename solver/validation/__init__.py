"""Validation: predictions of the evaluator against measured runs, suite by suite."""
