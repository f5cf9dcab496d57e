"""Nets: real torch modules as lists of blocks, and the data they train on."""
