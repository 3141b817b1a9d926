"""Checks of the policy's [[host]] rows: one module a kind, imported where a row asks for it."""
