"""Participation: which devices should take part, and what each of them is worth."""
