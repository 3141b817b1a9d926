"""Turning an nhc.conf into a policy: lines.py, words.py (bash), targets.py, then one module a group of NHC's checks."""
