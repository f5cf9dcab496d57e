"""Lowering: a Plan becomes a Program, once; prediction and execution walk the same one."""

from __future__ import annotations

from solver.lowering.assemble import lower

__all__ = ["lower"]
