"""Deciding and scoring: problems, plans, their Programs, the evaluator, and the solvers."""
