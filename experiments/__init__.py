"""Experiments, one file each: `python -m experiments NAME`. They may import all; nothing imports them."""
