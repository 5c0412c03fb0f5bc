"""The demo: a workload with a past, its exporter, and a cluster that scales it, all on one machine."""
