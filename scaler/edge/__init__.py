"""The edge process's memory: triggers and their snapshots, and the link to the engine that fills it."""
