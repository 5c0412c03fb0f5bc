"""Foresail: a KEDA external scaler that answers with the load of the near future."""

__all__ = ["__version__"]

__version__ = "0.1.0"
