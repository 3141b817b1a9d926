"""The site's own checks: Python files and entry points (run.py), commands of the policy (commands.py)."""
