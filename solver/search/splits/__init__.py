"""Splits: DAGs placed on accelerators and processors that share through a host."""
