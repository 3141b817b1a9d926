"""The user's side, before a job is submitted."""
