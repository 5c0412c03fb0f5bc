"""The gRPC edge: KEDA's calls in, decisions out; the only user of scaler.pb."""
