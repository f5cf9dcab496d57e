"""Suites of measured runs, one file each; the file's name is the suite's name.

A suite is a module that has

* ``validate(data, progress)``: a :class:`~solver.validation.findings.Findings` for the runs in the folder
  ``data`` (``None``: the suite's own). Constants that were fitted are read, never fitted again.
* optionally ``fit(progress)``: the constants, fitted anew on the suite's own data, as the text of the file
  that ships with the package.
"""
