from __future__ import annotations

import pytest

from scaler.errors import InvalidSettings
from scaler.replay.behavior import Policy, Rules, default_behavior, parse_behavior


def test_what_is_left_out_is_filled_in_as_the_api_server_does() -> None:
    assert parse_behavior({}) == default_behavior()
    behavior = parse_behavior({"scaleDown": {"stabilizationWindowSeconds": 60}})
    assert behavior.up == Rules(0, "Max", (Policy("Pods", 4, 15), Policy("Percent", 100, 15)), 0.1)
    assert behavior.down == Rules(60, "Max", (Policy("Percent", 100, 15),), 0.1)
    assert parse_behavior({"scaleDown": {"selectPolicy": "Min"}}).down.window == 300


def test_everything_given_is_taken() -> None:
    behavior = parse_behavior(
        {
            "scaleUp": {
                "stabilizationWindowSeconds": 30,
                "selectPolicy": "Disabled",
                "policies": [{"type": "Percent", "value": 900, "periodSeconds": 60}],
                "tolerance": "20m",
            }
        }
    )
    assert behavior.up == Rules(30, "Disabled", (Policy("Percent", 900, 60),), 0.02)
    assert behavior.up.longest_period == 60


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"scaleup": {}}, "behavior.scaleup is not known; there are scaleUp, scaleDown"),
        ({"scaleUp": 3}, "behavior.scaleUp must be a mapping, not 3"),
        (
            {"scaleUp": {"window": 3}},
            (
                "behavior.scaleUp.window is not known; "
                "there are stabilizationWindowSeconds, selectPolicy, policies, tolerance"
            ),
        ),
        (
            {"scaleDown": {"stabilizationWindowSeconds": 3601}},
            "behavior.scaleDown.stabilizationWindowSeconds must be a whole number from 0 to 3600, not 3601",
        ),
        (
            {"scaleDown": {"selectPolicy": "max"}},
            "behavior.scaleDown.selectPolicy must be Max, Min or Disabled, not 'max'",
        ),
        (
            {"scaleDown": {"policies": []}},
            "behavior.scaleDown.policies must be a list of at least one policy, not []",
        ),
        (
            {"scaleDown": {"policies": ["x"]}},
            "behavior.scaleDown.policies[0] must be a mapping of type, value and periodSeconds, not 'x'",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Pod", "value": 1, "periodSeconds": 1}]}},
            "behavior.scaleDown.policies[0].type must be Pods or Percent, not 'Pod'",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Pods", "value": True, "periodSeconds": 1}]}},
            "behavior.scaleDown.policies[0].value must be a whole number of at least 1, not True",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}},
            "behavior.scaleDown.policies[0].periodSeconds must be a whole number from 1 to 1800, not 1801",
        ),
        ({"scaleUp": {"tolerance": "-1"}}, "behavior.scaleUp.tolerance must be at least 0, not '-1'"),
        (
            {"scaleUp": {"tolerance": "ten"}},
            "behavior.scaleUp.tolerance: 'ten' is not a Kubernetes quantity such as 10, 0.5 or 500m",
        ),
    ],
)
def test_a_problem_is_named_with_its_place_and_what_would_be_right(spec: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        parse_behavior(spec)
    assert raised.value.problems == (problem,)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(InvalidSettings) as raised:
        parse_behavior({"scaleUp": {"selectPolicy": "x"}, "scaleDown": {"tolerance": "y"}})
    assert len(raised.value.problems) == 2
