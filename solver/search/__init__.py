"""Search: what several algorithms share, below them."""
