"""Gradient descent on the recurrent network, in torch: deterministic, and resumable to the bit at any batch.

All that a training has become is a `State` of plain arrays. Which examples a batch holds follows from the seed and
the batch's number alone, so a training that was killed goes on as if nothing had happened.

Sources: pinball loss: Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978; AdamW: Loshchilov and
Hutter, "Decoupled weight decay regularization", ICLR 2019, with their cosine schedule; averaged weights: Polyak and
Juditsky, SIAM Journal on Control and Optimization 30, 1992, here with exponential forgetting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.errors import FitFailed
from forecasting.features.sequence import ASKS, STATICS, TOKENS
from forecasting.network import KNOTS, Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecasting.features.rolling import Float32Array
    from forecasting.training.examples import Examples

__all__ = ["Course", "Descent", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the network is trained.

    Attributes:
        units: Of the LSTM.
        dense: Of each dense layer.
        batch: Origins in a batch.
        epochs: At most; an epoch shows every example once.
        learning_rate: At its highest.
        decay: Weight decay.
        patience: Epochs without a gain on the validation part after which training stops.
        seed: Of the first weights and of the batches.
    """

    units: int = 48
    dense: int = 64
    batch: int = 512
    epochs: int = 12
    learning_rate: float = 4e-3
    decay: float = 0.02
    patience: int = 4
    seed: int = 1


@dataclass(slots=True)
class State:
    """All that a training has become.

    Attributes:
        batches: Batches done.
        arrays: Weights, their moments and averages, and the best averages so far, by name.
        losses: Validation loss after each epoch.
        trained: Sum of the training losses of the epoch under way.
    """

    batches: int
    arrays: dict[str, Float32Array]
    losses: list[float] = field(default_factory=list)
    trained: float = 0.0

    def best(self) -> int:
        """The epoch with the lowest validation loss, from 0."""
        return int(np.argmin(self.losses))


_FORGET = 0.995  # share of the averaged weights that stays with each batch
_WARM_UP = 60  # batches
# torch.lstm's arguments: biases, one layer, no dropout, no gradients of torch's own modules, one direction, time first
_LSTM = (True, 1, 0.0, False, False, False)
_NAMES = (
    "cell_input",
    "cell_state",
    "cell_bias",
    "ask",
    "origin",
    "first_bias",
    "second",
    "second_bias",
    "out",
    "out_bias",
)


class Descent:
    """A training: `steps` goes on from `state` wherever that stands.

    Args:
        train: What is learned from.
        validate: What early stopping looks at.
        course: How.
        state: From where to go on; None: from the beginning.
        start: Weights to begin with, of the course's sizes, to fine-tune them; None: random ones.

    Raises:
        FitFailed: torch is not installed.
    """

    def __init__(
        self,
        train: Examples,
        validate: Examples,
        *,
        course: Course,
        state: State | None = None,
        start: Network | None = None,
    ) -> None:
        self._torch = _torch()
        self._train, self._validate, self._course = train, validate, course
        first = _first(course) if start is None else {name: getattr(start, name) for name in _NAMES}
        self.state = state or State(0, {
            **{f"weight/{name}": array for name, array in first.items()},
            **{f"{kind}/{name}": np.zeros_like(array) for kind in ("mean", "square") for name, array in first.items()},
            **{f"average/{name}": array for name, array in first.items()},
            **{f"best/{name}": array for name, array in first.items()},
        })  # fmt: skip

    @property
    def batches_an_epoch(self) -> int:
        """Batches that show every example once."""
        return math.ceil(len(self._train) / self._course.batch)

    @property
    def total(self) -> int:
        """Batches of all epochs, should none be saved by early stopping."""
        return self.batches_an_epoch * self._course.epochs

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the last ones brought nothing."""
        losses = self.state.losses
        late = bool(losses) and len(losses) - 1 - self.state.best() >= self._course.patience
        return late or self.state.batches >= self.total

    def steps(self) -> Iterator[State]:
        """Trains to the end; yields after every batch, with `state` as it is then."""
        torch = self._torch
        torch.manual_seed(self._course.seed)
        weights = {
            name: torch.nn.Parameter(torch.from_numpy(self.state.arrays[f"weight/{name}"].copy())) for name in _NAMES
        }
        while not self.finished:
            epoch, number = divmod(self.state.batches, self.batches_an_epoch)
            order = np.random.default_rng([self._course.seed, epoch]).permutation(len(self._train))
            some = np.sort(order[number :: self.batches_an_epoch])
            loss = self._loss(weights, self._train.at(some))
            gradients = torch.autograd.grad(loss, list(weights.values()))
            self._moved(weights, [g.numpy() for g in gradients])
            self.state.trained += float(loss.detach())
            self.state.batches += 1
            if self.state.batches % self.batches_an_epoch == 0:
                self._end_of_epoch()
            yield self.state

    def network(self, *, series: int, story: str) -> Network:
        """The best weights so far, as they are served."""
        arrays = {name: self.state.arrays[f"best/{name}"] for name in _NAMES}
        return Network(**arrays, series=series, story=story)

    def validation_loss(self, kind: str = "average") -> float:
        """Weighted pinball loss over the validation part."""
        torch = self._torch
        weights = {name: torch.from_numpy(self.state.arrays[f"{kind}/{name}"]) for name in _NAMES}
        total = 0.0
        with torch.no_grad():
            for at in range(0, len(self._validate), 2048):
                part = self._validate.at(slice(at, at + 2048))
                total += float(self._loss(weights, part)) * len(part)
        return total / max(1, len(self._validate))

    def _end_of_epoch(self) -> None:
        state = self.state
        state.losses.append(self.validation_loss())
        state.trained = 0.0
        if state.best() == len(state.losses) - 1:
            for name in _NAMES:
                state.arrays[f"best/{name}"] = state.arrays[f"average/{name}"]

    def _loss(self, weights: dict[str, Any], part: Examples) -> Any:  # noqa: ANN401  # a torch scalar
        torch = self._torch
        quantiles = _forward(torch, weights, part)
        came = torch.from_numpy(part.came)[:, :, None]
        level = torch.tensor(KNOTS)
        above = came - quantiles
        pinball = torch.maximum(level * above, (level - 1) * above).mean(dim=2)
        return (pinball * torch.from_numpy(part.weight)).mean()

    def _moved(self, weights: dict[str, Any], gradients: list[Float32Array]) -> None:
        """One step of AdamW, in numpy: its state is then plain arrays that a checkpoint holds."""
        course, arrays = self._course, self.state.arrays
        count = self.state.batches + 1
        norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))
        clip = np.float32(min(1.0, 1.0 / max(norm, 1e-12)))
        progress = self.state.batches / self.total
        rate = (
            course.learning_rate * min(1.0, count / _WARM_UP) * (0.02 + 0.98 * (1 + math.cos(math.pi * progress)) / 2)
        )
        keep = np.float32(min(_FORGET, count / (count + 10)))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            slope = gradient * clip
            mean = arrays[f"mean/{name}"] * np.float32(0.9) + slope * np.float32(0.1)
            square = arrays[f"square/{name}"] * np.float32(0.99) + np.square(slope) * np.float32(0.01)
            step = (
                mean / np.float32(1 - 0.9**count) / (np.sqrt(square / np.float32(1 - 0.99**count)) + np.float32(1e-8))
            )
            held = arrays[f"weight/{name}"]
            shrink = course.decay if held.ndim == 2 else 0.0
            new = held - np.float32(rate) * (step + np.float32(shrink) * held)
            average = arrays[f"average/{name}"] * keep + new * (1 - keep)
            arrays[f"mean/{name}"], arrays[f"square/{name}"] = mean, square
            arrays[f"weight/{name}"], arrays[f"average/{name}"] = new, average
            weight.data.copy_(self._torch.from_numpy(new))


def _torch() -> Any:  # noqa: ANN401  # the module
    try:
        import torch  # noqa: PLC0415  # heavy, and needed by those who train alone
    except ImportError as error:
        raise FitFailed(
            "training a recurrent network needs torch, which is not installed: pip install 'foresail[lstm]' brings it"
        ) from error
    return torch


def _first(course: Course) -> dict[str, Float32Array]:
    """Random weights, scaled by the size of what enters them (Glorot and Bengio, AISTATS 2010)."""
    random = np.random.default_rng([course.seed, 2**31])
    units, dense = course.units, course.dense
    shapes = {
        "cell_input": (TOKENS[1], 4 * units),
        "cell_state": (units, 4 * units),
        "ask": (ASKS, dense),
        "origin": (units + STATICS, dense),
        "second": (dense, dense),
        "out": (dense, len(KNOTS)),
    }
    out = {name: random.normal(0, math.sqrt(1 / shape[0]), shape) for name, shape in shapes.items()}
    out["out"] *= 0.1
    forgetting = np.zeros(4 * units)
    forgetting[units : 2 * units] = 1.0  # remember, to begin with (Jozefowicz et al., ICML 2015)
    out |= {"cell_bias": forgetting, "first_bias": np.zeros(dense), "second_bias": np.zeros(dense)}
    out["out_bias"] = np.array([0.0, *[-0.5] * (len(KNOTS) - 1)])
    return {name: out[name].astype(np.float32) for name in _NAMES}


def _forward(torch: Any, weights: dict[str, Any], part: Examples) -> Any:  # noqa: ANN401  # torch has no types here
    """What `Network.predict` computes, with gradients."""
    w = weights
    units = w["cell_state"].shape[0]
    tokens = torch.from_numpy(part.tokens)
    zeros = torch.zeros(1, len(part), units)
    # torch's own kernel: twice as fast as a loop; its second bias stays 0
    cell = [w["cell_input"].T.contiguous(), w["cell_state"].T.contiguous(), w["cell_bias"], torch.zeros(4 * units)]
    _, state, _ = torch.lstm(tokens.transpose(0, 1), (zeros, zeros), cell, *_LSTM)
    origin = torch.cat([state[0], torch.from_numpy(part.statics)], dim=1) @ w["origin"] + w["first_bias"]
    first = torch.tanh(torch.from_numpy(part.asks) @ w["ask"] + origin[:, None])
    second = torch.tanh(first @ w["second"] + w["second_bias"])
    raw = second @ w["out"] + w["out_bias"]
    return torch.cumsum(torch.cat([raw[..., :1], torch.nn.functional.softplus(raw[..., 1:])], dim=2), dim=2)
