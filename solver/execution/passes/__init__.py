"""Passes: what one worker computes in a step: pieces of forward and backward passes, tensors, weights."""
