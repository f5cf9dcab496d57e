"""State: whole blocks out of cut ones; checkpoints, backups, adapters, and going on from them."""
