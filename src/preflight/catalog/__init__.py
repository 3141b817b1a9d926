"""What is known about CUDA, drivers, GPUs and distributions."""

VERSION = "2026-11-24"  # the day the facts were gathered; reports carry it
