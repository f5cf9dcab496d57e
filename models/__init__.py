"""What exists: workloads, devices, clusters, nets, and the readers of published instances."""
