"""Turning an nhc.conf into a policy.

lines.py; commands.py, words.py and braces.py (bash); targets.py; then one module a group of NHC's checks.
"""
