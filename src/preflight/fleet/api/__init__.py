"""The JSON API: what `preflight fleet` answers, over HTTP, for readers with a token."""
