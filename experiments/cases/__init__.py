"""Cases: what experiments compare: clusters, networks, planners, ways to be ready, real runs."""
