"""Preflight: the environment checker for Slurm clusters."""

__version__ = "0.1.0"
