"""What survives a restart: history, fitted models, last-good snapshots."""
