"""The HTTP side: health, metrics, the explain API."""
