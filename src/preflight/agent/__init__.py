"""The node agent: keeps a node's facts at hand, and answers prologs that have nothing to do (docs/agent.md)."""
