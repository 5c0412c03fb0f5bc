"""The gRPC edge: KEDA's calls in, decisions out; the only user of scaler.pb."""

import os

# gRPC's core readies itself for children that go on using it, and complains in lines of its own when threads are
# in the way; ours are other programs. It reads this when the first server or channel is made.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A listener of its event engine hands each call from thread to thread, which costs a sixth of a call's CPU time
# (docs/benchmarks.md, "Load"); the poller before it serves one connection with less. Read when grpc is imported.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
