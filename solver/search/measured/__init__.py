"""Measured: stages of blocks with measured variants, under a published cost rule."""
