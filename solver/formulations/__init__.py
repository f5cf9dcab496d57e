"""Formulations: ``build(problem)`` makes a mathematical model, ``invert(values)`` reads a plan out of it."""
