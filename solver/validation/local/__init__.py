"""The suite `local`: plans drawn at random, run for real by the executor, beside what the evaluator says."""
