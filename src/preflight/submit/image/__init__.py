"""Container images: read one (open.py), and say what it needs of a node (needs.py). Nothing is downloaded or run."""
