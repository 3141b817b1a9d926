"""The dashboard: pages for people, and the same answers as JSON and CSV (docs/dashboard.md)."""
