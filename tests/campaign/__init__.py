"""The campaign: injected faults, each one row of a table of what was expected and what was observed.

`make campaign` runs it (see docs/reliability.md); tests/unit/test_campaign.py runs a sample of it.
"""
