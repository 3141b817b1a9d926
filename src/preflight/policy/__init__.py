"""The site's policy (site-config/preflight.toml): model, loading with errors that name the line, cached form."""
