"""The phases of collaborative training: cluster, participants, plan, deployment, training."""
