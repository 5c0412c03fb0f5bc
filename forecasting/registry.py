"""Names of forecasters, and how to make one from the parameters that a user wrote."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Union

from forecasting.covariates import WithCovariates
from forecasting.errors import DuplicateForecaster, InvalidParameter, UnknownForecaster
from forecasting.models.arima import Arima
from forecasting.models.boosted import Boosted
from forecasting.models.ets import Ets
from forecasting.models.lstm import Lstm
from forecasting.models.naive import Naive
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.models.theta import Theta
from forecasting.selection import Auto
from forecasting.shifted import WithShifts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.metadata import EntryPoint

    from forecasting.forecaster import Forecaster
    from forecasting.series import TimeSeries

__all__ = ["BUILT_IN", "ENTRY_POINT_GROUP", "BrokenPlugin", "Parameter", "Registry", "default_registry", "fitting"]

ENTRY_POINT_GROUP = "foresail.forecasters"

BUILT_IN: tuple[type[Forecaster], ...] = (Naive, SeasonalNaive, Ets, Theta, Arima, SeasonalProfile, Boosted, Lstm, Auto)

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NONE = ("auto", "none")


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that could not be loaded: it takes nobody else down.

    Attributes:
        name: Its entry point's name.
        target: What the entry point refers to.
        error: What went wrong, in words.
    """

    name: str
    target: str
    error: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A forecaster's parameter, for reference pages.

    Attributes:
        name: As users write it.
        kind: In words, e.g. "a whole number, or auto".
        default: Its text, e.g. "auto".
    """

    name: str
    kind: str
    default: str


class Registry:
    """Forecasters by name; a name is given once."""

    def __init__(self) -> None:
        self._factories: dict[str, type[Forecaster]] = {}
        self._broken: dict[str, BrokenPlugin] = {}

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """Plug-ins that could not be loaded, by name."""
        return tuple(self._broken[name] for name in sorted(self._broken))

    def register(self, factory: type[Forecaster]) -> None:
        """Adds a forecaster: a frozen dataclass whose fields are its parameters, all with defaults.

        Args:
            factory: The class; its `name` is the one that users write.

        Raises:
            DuplicateForecaster: The name is taken.
            InvalidParameter: The class is no frozen dataclass with defaults, or has a field of a type that
                cannot be written as text.
        """
        where = f"{factory.__module__}.{factory.__qualname__}"
        if not _is_frozen_dataclass(factory):
            raise InvalidParameter(f"{where} is not a frozen dataclass, so its parameters cannot be read")
        name = getattr(factory, "name", None)
        if not isinstance(name, str) or not name:
            raise InvalidParameter(f"{where} has no class attribute 'name' that says how users write it")
        taken = self._factories.get(name)
        if taken is not None:
            raise DuplicateForecaster(
                f"two forecasters are called {name!r}: {taken.__module__}.{taken.__qualname__} and {where}"
            )
        for field in dataclasses.fields(factory):  # type: ignore[arg-type]  # checked above
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise InvalidParameter(f"{where}: parameter {field.name!r} has no default")
        for parameter, annotation in _annotations(factory).items():
            if _kind(annotation) is None:
                raise InvalidParameter(f"{where}: parameter {parameter!r} has a type that no text can give")
        self._factories[name] = factory

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._factories))

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """The parameters of a forecaster, in the order of their declaration.

        Raises:
            UnknownForecaster: There is none of that name.
        """
        factory = self._factory(name)
        made = factory()
        return tuple(
            Parameter(parameter, str(_kind(annotation)), _text(getattr(made, parameter)))
            for parameter, annotation in _annotations(factory).items()
        )

    def create(self, name: str, parameters: Mapping[str, str] | None = None) -> Forecaster:
        """The forecaster of that name with these parameters.

        Args:
            name: One of `names()`.
            parameters: Texts by parameter name, converted to the types that the forecaster declares; those
                left out have their defaults.

        Raises:
            UnknownForecaster: There is none of that name; the text names the nearest.
            InvalidParameter: A parameter is unknown or its text is no value for it: all of them in one text.
        """
        factory = self._factory(name)
        declared = _annotations(factory)
        values: dict[str, Any] = {}
        problems: list[str] = []
        for parameter, text in (parameters or {}).items():
            if parameter not in declared:
                problems.append(_unknown_parameter(name, parameter, declared))
                continue
            try:
                values[parameter] = _converted(text, declared[parameter])
            except ValueError:
                problems.append(
                    f"parameter {parameter!r} of forecaster {name!r} must be {_kind(declared[parameter])}, not {text!r}"
                )
        if problems:
            raise InvalidParameter("; ".join(problems))
        return factory(**values)

    def load(self, points: Iterable[EntryPoint]) -> None:
        """Registers plug-ins; one that fails is listed in `broken` and the rest go on."""
        for point in sorted(points, key=lambda point: (point.name, point.value)):
            try:
                self.register(point.load())
            except Exception as error:  # noqa: BLE001  # a plug-in may fail in any way, and only it shall fail
                text = f"{type(error).__name__}: {error}"
                self._broken[point.name] = BrokenPlugin(point.name, point.value, text)

    def _factory(self, name: str) -> type[Forecaster]:
        factory = self._factories.get(name)
        if factory is not None:
            return factory
        if name in self._broken:
            broken = self._broken[name]
            raise UnknownForecaster(
                f"forecaster {name!r} is a plug-in ({broken.target}) that could not be loaded: {broken.error}"
            )
        raise UnknownForecaster(
            f"there is no forecaster {name!r}{_nearest(name, self._factories)}; there are: {', '.join(self.names())}"
        )


def default_registry() -> Registry:
    """A registry of the built-in forecasters and of the plug-ins installed in this environment.

    A plug-in is an entry point in the group `foresail.forecasters` that refers to a forecaster's class.
    """
    registry = Registry()
    for factory in BUILT_IN:
        registry.register(factory)
    registry.load(entry_points(group=ENTRY_POINT_GROUP))
    return registry


def fitting(forecaster: Forecaster, series: TimeSeries) -> Forecaster:
    """The forecaster as it is to be fitted to this series: at one level, and corrected by covariates if it has some."""
    return WithShifts(base=forecaster if series.covariates is None else WithCovariates(base=forecaster))


def _is_frozen_dataclass(factory: object) -> bool:
    if not isinstance(factory, type) or not dataclasses.is_dataclass(factory):
        return False
    return bool(factory.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # not in typeshed


def _annotations(factory: type[Forecaster]) -> dict[str, Any]:
    hints = typing.get_type_hints(factory)
    fields = dataclasses.fields(factory)  # type: ignore[arg-type]  # register() has checked that it is one
    return {field.name: hints[field.name] for field in fields if field.init}


def _unknown_parameter(name: str, parameter: str, declared: Mapping[str, object]) -> str:
    if not declared:
        return f"forecaster {name!r} has no parameter {parameter!r}; it has none at all"
    return (
        f"forecaster {name!r} has no parameter {parameter!r}{_nearest(parameter, declared)}; it has: "
        f"{', '.join(sorted(declared))}"
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    # case and hyphens are the usual slips, and cost nothing to look through
    plain = {text.lower().replace("-", "").replace("_", ""): text for text in sorted(known)}
    close = difflib.get_close_matches(name.lower().replace("-", "").replace("_", ""), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)


def _kind(annotation: object) -> str | None:
    """What a text must be, in words; None if no text can give such a value."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if isinstance(annotation, type) and annotation in words:
        return words[annotation]
    arguments = typing.get_args(annotation)
    if _is_union(annotation) and len(arguments) == 2 and type(None) in arguments:
        inner = _kind(next(a for a in arguments if a is not type(None)))
        return f"{inner}, or auto" if inner else None
    if typing.get_origin(annotation) is Literal and all(isinstance(a, str) for a in arguments):
        return f"one of {', '.join(arguments)}"
    if typing.get_origin(annotation) is tuple and arguments in ((int, ...), (float, ...)):
        return f"{'whole ' if arguments[0] is int else ''}numbers separated by commas"
    return None


def _converted(text: str, annotation: Any) -> Any:  # noqa: ANN401  # whatever type the parameter declares
    """The text as a value of that type; ValueError if it is none."""
    text = text.strip()
    arguments = typing.get_args(annotation)
    if _is_union(annotation):
        if text.lower() in _NONE:
            return None
        return _converted(text, next(a for a in arguments if a is not type(None)))
    if typing.get_origin(annotation) is tuple:
        return tuple(_converted(part, arguments[0]) for part in text.split(",") if part.strip())
    if typing.get_origin(annotation) is Literal:
        if text not in arguments:
            raise ValueError(text)
        return text
    if annotation is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    value = annotation(text)
    if isinstance(value, float) and value - value != 0:  # nan and the infinities are no setting of anything
        raise ValueError(text)
    return value


def _text(value: object) -> str:
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
