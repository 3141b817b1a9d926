"""The fleet store: one interface, kept by SQLite or PostgreSQL."""
