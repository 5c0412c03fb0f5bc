"""Generated from proto/externalscaler.proto by `make proto`; only `scaler.keda` imports it."""
