"""The node's side: what the spool's queue holds goes to the collector."""
