"""Telling others what happened: a signed webhook, and logs to a collector of OpenTelemetry."""
