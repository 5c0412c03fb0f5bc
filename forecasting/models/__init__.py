"""Forecasting methods, one file each, independent of one another."""
