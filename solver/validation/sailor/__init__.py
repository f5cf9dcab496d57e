"""Published runs of Sailor as workload, cluster and plan, and the constants of the model."""
