"""Training of models across series: histories, checkpoints, and whether a new model may be published."""
