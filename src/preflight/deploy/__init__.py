"""Putting Preflight on a node: copied whole, swapped at once, removed without leaving slurmd a dead path."""
