"""A trigger's metadata, read into a frozen TriggerConfig, all problems told together.

The names are those of KEDA's `prometheus` trigger and of `predictkube`, then ours. KEDA hands over the whole
`metadata` section as texts, its own connection keys included, and resolves a `fooFromEnv` key to the value
itself, under that key; so an ending `FromEnv` is accepted on every name here, and is the only way for a secret.
"""

from scaler.trigger.config import TriggerConfig
from scaler.trigger.key import TriggerKey
from scaler.trigger.parse import parse_trigger

__all__ = ["TriggerConfig", "TriggerKey", "parse_trigger"]
