"""bash as the referee of what a generated script runs: a grammar of scripts, and traced runs with stand-ins."""
