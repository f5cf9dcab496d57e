"""Suites: published (and our own) sets of instances as Problems. One file a suite, its name the suite's name.

A suite file has

- ``UNIT``: unit of ``objective`` in its solution files, as ``ms``;
- ``FOLDER``: where the instances that come with the project lie;
- ``cases(folder) -> tuple[Case, ...]``: every case of a folder, in order;
- ``problem(case) -> Problem``: the case as a Problem, with the suite's cost rules as settings;
- ``document(case, plan, score) -> dict``: a plan in the suite's own terms; ``score`` is the evaluator's.

``cases`` and ``problem`` raise :class:`models.errors.InputError` with every fault of a damaged file.
"""

from __future__ import annotations

from solver.suites.case import Case

__all__ = ["Case"]
