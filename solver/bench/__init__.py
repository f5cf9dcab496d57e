"""Bench: many solvers on many cases, each run in a process of its own, recorded so that it can be resumed."""
