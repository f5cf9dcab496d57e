"""Solvers: one file each; the file's name is the solver's name."""
