"""Repair: plans for the devices that are left when some have gone, and what it takes to change over."""
