"""`preflight doctor`: is all of it right on this host? One module a subject; each looks, and changes nothing.

A subject is a function from a `Host` (what was gathered once, host.py) to results; run.py has them in order.
"""
