"""What edge, engine and fit workers say to each other: typed MessagePack frames, no pickle."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from scaler.decision.change import Change
from scaler.decision.snapshot import Snapshot
from scaler.replay.aim import Aim, Choice

__all__ = [
    "About",
    "Ask",
    "Called",
    "Changes",
    "Configure",
    "Evicted",
    "FitDone",
    "FitRequest",
    "FitStarted",
    "ForecastRequest",
    "Forecasted",
    "FromEngine",
    "FromWorker",
    "Recalled",
    "Refusal",
    "Refused",
    "Register",
    "Reply",
    "Rung",
    "ToEngine",
    "ToWorker",
    "Update",
]


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base: messages tell themselves apart by their class name."""


# --- edge to engine -------------------------------------------------------------------------


class Configure(_Message, frozen=True):
    """The first message to every engine: the edge's settings, as `scaler.engine.configuration` writes them."""

    settings: bytes

    def __repr__(self) -> str:  # the settings hold the credentials of sources
        return "Configure(...)"


class Register(_Message, frozen=True):
    """A trigger that the edge has not seen: its call as KEDA made it. The metadata may hold secrets."""

    trigger: str
    namespace: str
    name: str
    metadata: dict[str, str]

    def __repr__(self) -> str:
        return f"Register({self.trigger!r}, ...)"


class Called(_Message, frozen=True):
    """These triggers were called since the last message of this kind: they are not idle."""

    triggers: list[str]


class Changes(_Message, frozen=True):
    """What has changed in the answers to calls, in the order of time: (trigger's id, change)."""

    changes: list[tuple[str, Change]]


class Ask(_Message, frozen=True):
    """A question that wants a Reply with the same number.

    `metrics` asks for the engine's exposition page; `decisions` for logged changes, its arguments those of
    `scaler.engine.decisions.DecisionLog.read`;
    any other, such as `alive`, for a sign of life.
    """

    number: int
    what: str
    arguments: list[str] = []


ToEngine: TypeAlias = Configure | Register | Called | Changes | Ask


# --- engine to edge -------------------------------------------------------------------------


class Update(_Message, frozen=True):
    """New snapshots."""

    snapshots: list[Snapshot]


class Recalled(_Message, frozen=True):
    """Last-good snapshots that the store has kept: they stand in where nothing newer is known."""

    snapshots: list[Snapshot]


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Why the engine does not take a trigger: the error's class name and its text."""

    error: str
    text: str


class Refused(_Message, frozen=True):
    """The engine does not take this trigger."""

    trigger: str
    refusal: Refusal


class Evicted(_Message, frozen=True):
    """These triggers were idle and are not kept up any more: register them again when they are called."""

    triggers: list[str]


class Reply(_Message, frozen=True):
    """The answer to an Ask."""

    number: int
    data: bytes


FromEngine: TypeAlias = Update | Recalled | Refused | Evicted | Reply


# --- engine to worker and back --------------------------------------------------------------


class Rung(msgspec.Struct, frozen=True, array_like=True):
    """One step of the ladder: a forecaster and its parameters, as texts."""

    forecaster: str
    parameters: dict[str, str] = {}


class FitRequest(_Message, frozen=True):
    """Fit the first rung of the ladder that can be fitted to this series.

    With an aim, also choose the quantile for it, from the one in use `before`; None: this is the first choice.

    The last `tested` samples are for a test: of the forecaster `known`, which was fitted before they came; or, if there
    is none, of the one fitted here, which is fitted to the samples before them and given up after it. The peaks looked
    at are those of `steps`.
    """

    ladder: list[Rung]
    start: int
    step: int
    values: bytes  # float64, little endian
    horizon: int
    levels: list[float]
    aim: Aim | None = None
    before: float | None = None
    tested: int = 0
    known: bytes = b""
    steps: int = 1
    window: int = 0  # steps of history that a forecast may look at
    covariates: list[bytes] = []  # as `values`, at the same moments


class FitStarted(_Message, frozen=True):
    """The worker starts on this rung: who is to blame if it never comes back."""

    rung: int


class About(msgspec.Struct, frozen=True, array_like=True):
    """What a plug-in's fitted forecaster says of itself, for an engine that does not load it."""

    context_length: int
    explanation: str
    unpredictable: bool


class FitDone(_Message, frozen=True):
    """The ladder is climbed down to `rung`, or has no rung left (-1). `failures`: one text per rung passed."""

    rung: int
    data: bytes
    failures: list[str]
    cpu_seconds: float
    choice: Choice | None = None
    ranks: bytes = b""  # uint16, little endian: what came of the test
    premiums: list[list[list[float]]] = []  # as `forecasting.premium.premiums` gives them; empty: not known
    about: About | None = None  # only of plug-ins


class ForecastRequest(_Message, frozen=True):
    """Forecast with a plug-in's fitted forecaster, from this past."""

    forecaster: str
    data: bytes
    start: int
    step: int
    values: bytes  # float64, little endian
    horizon: int
    levels: list[float]
    covariates: list[bytes] = []  # as `values`, at the same moments


class Forecasted(_Message, frozen=True, kw_only=True):
    """What came of it: `made`; `none`, as the past holds too little; `wrong`: it raised, or it is no forecast;
    `unknown`: what was fitted is of another version, or builds on a model that is not there.
    """

    outcome: Literal["made", "none", "wrong", "unknown"]
    values: bytes = b""  # float64, little endian, shape (levels, horizon)
    peak: bytes = b""  # likewise
    failure: str = ""


ToWorker: TypeAlias = FitRequest | ForecastRequest
FromWorker: TypeAlias = FitStarted | FitDone | Forecasted
