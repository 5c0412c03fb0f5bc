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
    def _cell(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """The cell's weights, gates first, in the order in, forget, out, candidate; of the first three, halved.

        A sigmoid is a tanh of half its argument, so all gates take one call.
        """
        units = len(self.cell_state)
        order = np.r_[0 : 2 * units, 3 * units : 4 * units, 2 * units : 3 * units]
        scale = np.where(np.arange(4 * units) < 3 * units, np.float32(0.5), np.float32(1.0))[:, None]
        weights = (self.cell_input, self.cell_state, self.cell_bias[None])
        of_input, of_state, bias = (np.ascontiguousarray(part.T[order] * scale) for part in weights)
        return of_input, of_state, bias

    def _encoded(self, tokens: Float32Array) -> Float32Array:
        """The cell's state after the last token; shape (N, 1, H)."""
        of_input, of_state, bias = self._cell
        units, half = of_state.shape[1], np.float32(0.5)
        count, length, features = tokens.shape
        padded = np.zeros((-(-count // _BLOCK) * _BLOCK, length, features), dtype=np.float32)
        padded[:count] = tokens
        blocks = padded.reshape(-1, _BLOCK, length, features).transpose(2, 0, 3, 1)
        driven = of_input @ np.ascontiguousarray(blocks)  # (T, blocks, 4 H, _BLOCK)
        driven += bias
        used = min(count, _BLOCK)  # of a block that is not full, the rest is neither squashed nor added
        product = np.empty(driven.shape[1:], dtype=np.float32)
        state = np.zeros((len(product), units, _BLOCK), dtype=np.float32)
        gates = np.empty((len(product), 4 * units, used), dtype=np.float32)
        memory, added = np.zeros((2, len(product), units, used), dtype=np.float32)
        open_, product_, state_ = gates[:, : 3 * units], product[..., :used], state[..., :used]
        for drive in driven[..., :used]:
            np.matmul(of_state, state, out=product)
            np.add(product_, drive, out=gates)
            np.tanh(gates, out=gates)
            open_ *= half
            open_ += half
            memory *= gates[:, units : 2 * units]
            memory += np.multiply(gates[:, :units], gates[:, 3 * units :], out=added)
            np.multiply(np.tanh(memory, out=added), gates[:, 2 * units : 3 * units], out=state_)
        return state.swapaxes(1, 2).reshape(-1, 1, units)[:count]

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
