"""The questions asked of a store: each module one subject, pure reading, the same for every database."""
