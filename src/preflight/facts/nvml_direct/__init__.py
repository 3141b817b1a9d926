"""NVML without its binding, for a prolog (calls.py); what it calls and reads (tables.py)."""
