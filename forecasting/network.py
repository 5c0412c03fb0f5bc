"""A recurrent network across series, as numpy computes it: no torch where loads are served.

An LSTM (Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997) reads the last day from
coarse to fine; for every horizon two dense layers, which also see the same minutes of former days, give quantiles of
the value or of the peak, directly and for all horizons at once (Wen et al., "A multi-horizon quantile recurrent
forecaster", 2017). The quantiles are a median and positive increments, so none cross.

An origin's numbers are the same whoever else is in the batch: products are of blocks of one size, filled up with zeros,
and a column's sums do not depend on its neighbours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from forecasting.errors import InvalidState
from forecasting.features.rolling import Float32Array  # msgspec reads the annotations of Network
from forecasting.features.sequence import ASKS, STATICS, TOKENS
from forecasting.pretrained import Pretrained
from forecasting.serialise import dumps, loads, stored_as

if TYPE_CHECKING:
    from forecasting.features.sequence import Inputs
    from forecasting.forecaster import FittedForecaster

__all__ = ["KNOTS", "NETWORKS", "Network"]

# Quantile levels that the network gives; others are interpolated and calibrated.
KNOTS = (0.5, 0.75, 0.9, 0.96, 0.99)
# Origins multiplied at once: as many as fill the processor's registers.
_BLOCK = 8
_ONE, _HALF = np.float32(1.0), np.float32(0.5)


@stored_as("recurrent/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """Weights; H units in the cell, D in each dense layer.

    Attributes:
        cell_input: From a token to the gates in, forget, candidate, out; shape (F, 4 H).
        cell_state: From the state to the gates; shape (H, 4 H).
        cell_bias: Shape (4 H,).
        ask: From an ask to the first dense layer; shape (ASKS, D).
        origin: From the last state and the statics to it; shape (H + STATICS, D).
        first_bias: Shape (D,).
        second: To the second dense layer; shape (D, D).
        second_bias: Shape (D,).
        out: To the median and the increments; shape (D, len(KNOTS)).
        out_bias: Shape (len(KNOTS),).
        series: How many series it was trained on.
        story: What it was trained on and how, in words.
    """

    cell_input: Float32Array
    cell_state: Float32Array
    cell_bias: Float32Array
    ask: Float32Array
    origin: Float32Array
    first_bias: Float32Array
    second: Float32Array
    second_bias: Float32Array
    out: Float32Array
    out_bias: Float32Array
    series: int
    story: str

    def predict(self, inputs: Inputs) -> Float32Array:
        """Log-ratio at KNOTS in units of the spread, increasing; shape (N, A, len(KNOTS))."""
        origin = np.concatenate([self._encoded(inputs.tokens), inputs.statics[:, None]], axis=2)
        first = np.tanh(inputs.asks @ self.ask + (origin @ self.origin + self.first_bias))
        second = np.tanh(first @ self.second + self.second_bias)
        raw = second @ self.out + self.out_bias
        raw[..., 1:] = np.logaddexp(np.float32(0.0), raw[..., 1:])
        return cast("Float32Array", np.cumsum(raw, axis=2, dtype=np.float32))

    @cached_property
    def _cell(self) -> Float32Array:
        """From the state, a token and 1 to the gates in the order in, forget, out, candidate; shape (4 H, H + F + 1).

        A sigmoid is (1 + a tanh of half its argument) / 2, so that all gates take one call. The halves are in here:
        the state that goes in is twice what the out gate lets through.
        """
        units = len(self.cell_state)
        order = np.r_[0 : 2 * units, 3 * units : 4 * units, 2 * units : 3 * units]
        scale = np.where(np.arange(4 * units) < 3 * units, np.float32(0.5), np.float32(1.0))[:, None]
        parts = (self.cell_state.T * np.float32(0.5), self.cell_input.T, self.cell_bias[:, None])
        return np.ascontiguousarray(np.concatenate(parts, axis=1)[order] * scale)

    def _encoded(self, tokens: Float32Array) -> Float32Array:
        """The cell's state after the last token; shape (N, 1, H)."""
        weights, units = self._cell, len(self.cell_state)
        count, length, features = tokens.shape
        blocks, used = -(-count // _BLOCK), min(count, _BLOCK)
        # twice the state, beside the token that comes with it and 1: one product makes all gates
        entering = np.zeros((length + 1, blocks, weights.shape[1], _BLOCK), dtype=np.float32)
        padded = np.zeros((blocks * _BLOCK, length, features), dtype=np.float32)
        padded[:count] = tokens
        entering[:-1, :, units:-1] = padded.reshape(blocks, _BLOCK, length, features).transpose(2, 0, 3, 1)
        entering[:, :, -1] = 1.0
        driven = np.empty((blocks, 4 * units, _BLOCK), dtype=np.float32)
        # the gates in, forget and out, the candidate, and the memory: what is multiplied lies side by side
        cell = np.zeros((blocks, 5 * units, used), dtype=np.float32)
        gates, open_, memory = cell[:, : 4 * units], cell[:, : 3 * units], cell[:, 4 * units :]
        of_both, both, out = cell[:, : 2 * units], cell[:, 3 * units :], cell[:, 2 * units : 3 * units]
        added = np.empty((blocks, 2 * units, used), dtype=np.float32)
        new, kept = added[:, :units], added[:, units:]
        driven_ = driven[..., :used]  # of a block that is not full, the rest is neither squashed nor added
        for now, state in zip(entering[:-1], entering[1:, :, :units, :used], strict=True):
            np.matmul(weights, now, out=driven)
            np.tanh(driven_, out=gates)
            np.add(open_, _ONE, out=open_)
            np.multiply(of_both, both, out=added)
            np.add(new, kept, out=memory)
            np.multiply(memory, _HALF, out=memory)
            np.multiply(np.tanh(memory, out=new), out, out=state)
        return (entering[-1, :, :units] * _HALF).swapaxes(1, 2).reshape(-1, 1, units)[:count]

    def digest(self) -> str:
        """Names these weights wherever they are referred to: 16 hexadecimal digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """As `forecasting.serialise` writes models."""
        return dumps(cast("FittedForecaster", self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Network:
        """What `to_bytes` wrote.

        Raises:
            InvalidState: The bytes are something else, or weights that do not fit each other or this version.
        """
        network: object = loads(data)
        if not isinstance(network, cls):
            raise InvalidState(f"these bytes are a {type(network).__name__}, not a recurrent network")
        _check(network)
        return network


def _check(network: Network) -> None:
    units, dense = len(network.cell_state), len(network.second)
    expected = {
        "cell_input": (TOKENS[1], 4 * units),
        "cell_state": (units, 4 * units),
        "cell_bias": (4 * units,),
        "ask": (ASKS, dense),
        "origin": (units + STATICS, dense),
        "first_bias": (dense,),
        "second": (dense, dense),
        "second_bias": (dense,),
        "out": (dense, len(KNOTS)),
        "out_bias": (len(KNOTS),),
    }
    for name, shape in expected.items():
        array: Float32Array = getattr(network, name)
        if array.shape != shape:
            raise InvalidState(f"the network's {name} has shape {array.shape}, this version needs {shape}")
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise InvalidState(f"the network's {name} must hold finite numbers of single precision")


NETWORKS = Pretrained("recurrent network", file="lstm.bin", read=Network.from_bytes)
"""The networks that this process knows."""
