"""Metric names and log lines in one place."""
