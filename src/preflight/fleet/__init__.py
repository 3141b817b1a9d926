"""The fleet: reports leave the node, a store keeps them, and terminal and pages answer for the whole cluster."""
