from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, ClassVar, Literal

import pytest

from forecasting.errors import DuplicateForecaster, InvalidParameter, UnknownForecaster
from forecasting.models.naive import Naive
from forecasting.registry import BUILT_IN, Parameter, Registry, default_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries


class _Base:
    name: ClassVar[str]

    def min_history(self, step: int) -> int:
        return step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Tunable(_Base):
    name: ClassVar[str] = "tunable"
    season_length: int | None = None
    smoothing: float = 0.5
    damped: bool = True
    kind: Literal["additive", "multiplicative"] = "additive"
    seasons: tuple[int, ...] = (1440, 10080)
    label: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.smoothing <= 1:
            raise InvalidParameter(f"parameter 'smoothing' must lie above 0 and at or below 1, not {self.smoothing}")


@dataclass(frozen=True, kw_only=True)
class Other(_Base):
    name: ClassVar[str] = "tunable"


@dataclass
class Mutable(_Base):
    name: ClassVar[str] = "mutable"


@dataclass(frozen=True)
class Nameless(_Base):
    pass


@dataclass(frozen=True)
class Demanding(_Base):
    name: ClassVar[str] = "demanding"
    needed: int


@dataclass(frozen=True)
class Untextable(_Base):
    name: ClassVar[str] = "untextable"
    mapping: dict[str, int] | None = None


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register(Naive)
    registry.register(Tunable)
    return registry


def test_names_are_sorted(registry: Registry) -> None:
    assert registry.names() == ("naive", "tunable")


def test_defaults_stand_where_nothing_is_given(registry: Registry) -> None:
    assert registry.create("tunable") == Tunable()
    assert registry.create("naive", {}) == Naive()


def test_texts_become_the_declared_types(registry: Registry) -> None:
    made = registry.create(
        "tunable",
        {
            "season_length": " 1440 ",
            "smoothing": "0.25",
            "damped": "No",
            "kind": "multiplicative",
            "seasons": "60, 1440",
            "label": "a b",
        },
    )
    assert made == Tunable(
        season_length=1440,
        smoothing=0.25,
        damped=False,
        kind="multiplicative",
        seasons=(60, 1440),
        label="a b",
    )


@pytest.mark.parametrize("text", ["auto", "None", " AUTO "])
def test_auto_leaves_an_optional_parameter_to_the_method(registry: Registry, text: str) -> None:
    assert registry.create("tunable", {"season_length": text}) == Tunable(season_length=None)


@pytest.mark.parametrize(
    ("parameter", "text", "message"),
    [
        ("season_length", "daily", "must be a whole number, or auto, not 'daily'"),
        ("season_length", "1.5", "must be a whole number, or auto, not '1.5'"),
        ("smoothing", "much", "must be a number, not 'much'"),
        ("smoothing", "nan", "must be a number, not 'nan'"),
        ("smoothing", "inf", "must be a number, not 'inf'"),
        ("damped", "maybe", "must be true or false, not 'maybe'"),
        ("kind", "both", "must be one of additive, multiplicative, not 'both'"),
        ("seasons", "1,x", "must be whole numbers separated by commas, not '1,x'"),
    ],
)
def test_a_text_that_is_no_such_value_is_refused(registry: Registry, parameter: str, text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.create("tunable", {parameter: text})
    assert str(caught.value) == f"parameter '{parameter}' of forecaster 'tunable' {message}"


def test_an_unknown_parameter_names_the_nearest(registry: Registry) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.create("tunable", {"seasonLength": "1440"})
    assert str(caught.value) == (
        "forecaster 'tunable' has no parameter 'seasonLength' (did you mean 'season_length'?); it has: "
        "damped, kind, label, season_length, seasons, smoothing"
    )


def test_a_forecaster_without_parameters_says_so(registry: Registry) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.create("naive", {"window": "5"})
    assert str(caught.value) == "forecaster 'naive' has no parameter 'window'; it has none at all"


def test_all_problems_are_told_together(registry: Registry) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.create("tunable", {"damped": "2", "smoothing": "x"})
    assert str(caught.value) == (
        "parameter 'damped' of forecaster 'tunable' must be true or false, not '2'; "
        "parameter 'smoothing' of forecaster 'tunable' must be a number, not 'x'"
    )


def test_a_value_out_of_range_is_refused_by_the_forecaster(registry: Registry) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.create("tunable", {"smoothing": "7"})
    assert str(caught.value) == "parameter 'smoothing' must lie above 0 and at or below 1, not 7.0"


def test_an_unknown_forecaster_names_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownForecaster) as caught:
        registry.create("niave", {})
    assert str(caught.value) == ("there is no forecaster 'niave' (did you mean 'naive'?); there are: naive, tunable")


def test_an_unknown_forecaster_like_none_names_all(registry: Registry) -> None:
    with pytest.raises(UnknownForecaster) as caught:
        registry.create("zzz")
    assert str(caught.value) == "there is no forecaster 'zzz'; there are: naive, tunable"


def test_a_name_is_given_once(registry: Registry) -> None:
    with pytest.raises(DuplicateForecaster) as caught:
        registry.register(Other)
    where = Tunable.__module__
    assert str(caught.value) == f"two forecasters are called 'tunable': {where}.Tunable and {where}.Other"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Mutable, "Mutable is not a frozen dataclass, so its parameters cannot be read"),
        (Nameless, "Nameless has no class attribute 'name' that says how users write it"),
        (Demanding, "Demanding: parameter 'needed' has no default"),
        (Untextable, "Untextable: parameter 'mapping' has a type that no text can give"),
    ],
)
def test_a_class_that_cannot_be_made_from_texts_is_refused(
    registry: Registry, factory: type[_Base], message: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        registry.register(factory)
    assert str(caught.value) == f"{factory.__module__}.{message}"


def test_parameters_are_described_for_reference_pages(registry: Registry) -> None:
    assert registry.parameters("naive") == ()
    assert registry.parameters("tunable") == (
        Parameter("season_length", "a whole number, or auto", "auto"),
        Parameter("smoothing", "a number", "0.5"),
        Parameter("damped", "true or false", "true"),
        Parameter("kind", "one of additive, multiplicative", "additive"),
        Parameter("seasons", "whole numbers separated by commas", "1440, 10080"),
        Parameter("label", "a text", ""),
    )


def test_a_broken_plugin_takes_nobody_down(registry: Registry) -> None:
    registry.load(
        [
            EntryPoint("gone", "no_such_module_here:Model", "foresail.forecasters"),
            EntryPoint("clash", "forecasting.models.naive:Naive", "foresail.forecasters"),
        ]
    )
    assert registry.names() == ("naive", "tunable")
    where = "forecasting.models.naive.Naive"
    assert [(p.name, p.error) for p in registry.broken] == [
        (
            "clash",
            f"DuplicateForecaster: two forecasters are called 'naive': {where} and {where}",
        ),
        ("gone", "ModuleNotFoundError: No module named 'no_such_module_here'"),
    ]
    with pytest.raises(UnknownForecaster) as caught:
        registry.create("gone")
    assert str(caught.value) == (
        "forecaster 'gone' is a plug-in (no_such_module_here:Model) that could not be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module_here'"
    )


def test_a_working_plugin_is_registered() -> None:
    registry = Registry()
    registry.load([EntryPoint("naive", "forecasting.models.naive:Naive", "foresail.forecasters")])
    assert registry.names() == ("naive",)
    assert registry.broken == ()


def test_the_default_registry_holds_the_built_ins() -> None:
    registry = default_registry()
    assert {factory.name for factory in BUILT_IN} <= set(registry.names())
    assert registry.broken == ()
