"""What Preflight costs, measured: `make bench`."""
