"""What a node is. The modules here are the only readers of a node."""
