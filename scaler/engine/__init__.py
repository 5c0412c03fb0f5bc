"""The engine process: triggers, refresh, fits, snapshots, and the socket to the edge."""
