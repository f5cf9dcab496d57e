"""Profiling of boards: what a user measures of machines and links, as the planner reads it."""
