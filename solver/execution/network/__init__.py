"""Network: messages and collectives among workers, over gloo, in the order of the Program."""
