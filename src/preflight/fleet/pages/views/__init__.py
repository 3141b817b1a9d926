"""The pages, one module a subject: each takes what was asked and returns a `Page`."""
