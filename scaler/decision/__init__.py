"""Deciding: pure functions from a snapshot to the value served, and why."""
