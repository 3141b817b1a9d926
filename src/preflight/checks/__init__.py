"""Checks: pure functions from facts, requirement and policy to findings."""
