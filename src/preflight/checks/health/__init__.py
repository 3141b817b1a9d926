"""Checks of the epilog and the health check. A prolog does not import them: it runs before every job."""
