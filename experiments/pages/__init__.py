"""Pages: what the experiments draw and say of what they found."""
