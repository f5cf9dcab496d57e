"""Power: energy as an equal of time: power modes as a decision, and chains of least energy, proven."""
