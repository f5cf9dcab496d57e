"""The suite vtrain: GPT on A100, from data-sheet values and a few fitted constants."""
