"""Click commands, one module a command."""
