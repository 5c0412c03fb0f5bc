from __future__ import annotations

import csv
import html
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from forecasting.premium import CHOICES
from scaler.cli.main import main
from scaler.cli.replay.arguments import read_behavior
from tests.support.networks import random_network

MINUTES = 600


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Ten hours of a noisy hourly rhythm, one minute apart, with a hole."""
    rng = np.random.default_rng(7)
    minutes = np.arange(MINUTES)
    load = 60 + 40 * np.sin(2 * np.pi * minutes / 60) + rng.gamma(2.0, 4.0, MINUTES)
    load[400:405] = np.nan
    path = tmp_path / "shop.csv"
    lines = [f"{1767225600 + 60 * n},{'' if math.isnan(value) else repr(float(value))}" for n, value in enumerate(load)]
    path.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    return path


def replay(*arguments: object) -> int:
    return main(["replay", *map(str, arguments), "--jobs", "1"])


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


KEYS = [
    "series",
    "policy",
    "quantile",
    "headroom",
    "under_provisioned_load",
    "under_provisioned_time",
    "pod_hours",
    "oracle_pod_hours",
    "cost_ratio",
    "scale_events",
    "gate",
    "seconds",
]


def test_json_has_the_figures_and_decisions_account_for_them(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "decisions.csv"
    knobs = ("--quantile", 0.9, "--headroom", 1.2)
    assert replay(trace, "--target", 10, "--forecaster", "naive", *knobs, "--json", "--decisions", out) == 0
    document = figures(capsys)
    assert sorted(document) == sorted(KEYS)
    gate = document["gate"]
    assert isinstance(gate, dict)
    assert (gate["demoted"], gate["changes"]) == (0.0, [])
    assert gate["last"].startswith("the gate trusts the forecast: over the last 5h, ")
    assert (document["series"], document["policy"]) == ("shop", "foresail")
    assert (document["quantile"], document["headroom"]) == (0.9, 1.2)
    table = rows(out)
    assert list(table[0]) == ["timestamp", "observed", "served", "desired", "ready", "reason"]
    # the last 40 % of the minutes, four syncs each; the load is the sample, held
    assert [int(row["timestamp"]) for row in table] == list(range(1767225600 + 360 * 60, 1767225600 + 600 * 60, 15))
    load = [float(row["observed"] or 0) for row in table]
    short = [max(0.0, there - 10 * int(row["ready"])) for there, row in zip(load, table, strict=True)]
    assert document["under_provisioned_load"] == pytest.approx(sum(short) / sum(load), rel=1e-12)
    assert document["under_provisioned_time"] == sum(missed > 0 for missed in short) / len(table)
    assert document["pod_hours"] == pytest.approx(sum(int(row["desired"]) for row in table) / 240)
    sizes = [row["desired"] for row in table]
    assert document["scale_events"] == sum(a != b for a, b in itertools.pairwise(sizes))
    for row in table:
        if not row["observed"]:
            assert (row["served"], row["reason"]) == ("", "unknown")
        else:
            assert float(row["served"]) >= 1.2 * float(row["observed"])


def test_a_quantile_is_chosen_by_what_it_adds(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = []
    for premium in (0.01, 10):
        arguments = (trace, "--target", 10, "--forecaster", "naive", "--premium", premium)
        assert replay(*arguments, "--json") == 0
        document = figures(capsys)
        chosen.append((document["quantile"], document["cost_ratio"]))
        assert document["headroom"] == 1.07
    quantiles, costs = zip(*chosen, strict=True)
    assert quantiles[0] == 0.5
    assert 0.9 < quantiles[1] <= 0.99
    assert costs[0] < costs[1]
    assert replay(*arguments) == 0
    assert f"auto, {quantiles[1]:g}" in capsys.readouterr().out


def test_a_premium_beside_a_quantile_is_refused(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(trace, "--target", 10, "--quantile", 0.9, "--premium", 0.3) == 1
    assert capsys.readouterr().err == (
        "foresail replay: settings: --premium chooses the quantile, so it excludes --quantile 0.9; "
        "give only one of them\n"
    )


def test_the_behavior_that_is_recommended_is_that_of_the_docs(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "scaledobject.md"
    manifest = tmp_path / "scaledobject.json"
    manifest.write_text(json.dumps(yaml.safe_load(page.read_text().split("```yaml")[1].split("```")[0])))
    behavior = read_behavior("recommended")
    assert behavior == read_behavior(str(manifest))
    assert behavior is not None
    assert (behavior.up.tolerance, behavior.down.window) == (0.0, 150)
    assert [(policy.kind, policy.value, policy.period) for policy in behavior.up.policies] == [("Percent", 900, 15)]


def test_the_oracle_is_exact(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "decisions.csv"
    assert replay(trace, "--target", 10, "--policy", "oracle", "--json", "--decisions", out) == 0
    document = figures(capsys)
    assert (document["under_provisioned_load"], document["cost_ratio"]) == (0.0, 1.0)
    assert document["headroom"] is document["quantile"] is None
    known = [row for row in rows(out) if row["observed"]]
    assert all(int(row["desired"]) == max(1, math.ceil(float(row["observed"]) / 10)) for row in known)


@pytest.mark.parametrize("policy", ["reactive", "offset", "foresail", "oracle"])
def test_cutting_the_file_changes_no_row_before(trace: Path, tmp_path: Path, policy: str) -> None:
    end = 1767225600 + 300 * 60
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    policy_arguments = ("--target", 10, "--policy", policy, "--forecaster", "naive", "--refit-every", "1h")
    arguments = (*policy_arguments, "--train-end", end, "--json", "--decisions")
    assert replay(trace, *arguments, whole) == 0
    cut = tmp_path / "cut.csv"
    cut.write_text("".join(trace.read_text().splitlines(keepends=True)[: 1 + 451]))
    assert replay(cut, *arguments, part) == 0
    lines = part.read_text().splitlines()
    assert len(lines) == 1 + 150 * 4
    assert whole.read_text().splitlines()[: len(lines)] == lines


def test_a_sweep_runs_every_setting_once(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    knobs = ("--quantile", 0.9, "--headroom", 1.2)
    assert replay(trace, "--target", 10, "--forecaster", "naive", *knobs, "--sweep", "--json") == 0
    document = figures(capsys)
    sweep = document["sweep"]
    assert isinstance(sweep, list)
    settings = [(point["policy"], point["headroom"], point["quantile"]) for point in sweep]
    assert len(set(settings)) == len(settings) == 52
    reactive = sorted(
        (point["headroom"], point["cost_ratio"], point["under_provisioned_load"])
        for point in sweep
        if point["policy"] == "reactive"
    )
    assert [cost for _, cost, _ in reactive] == sorted(cost for _, cost, _ in reactive)
    assert reactive[0][2] > reactive[-1][2]


def test_people_get_a_table_with_plain_keda_beside(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(trace, "--target", 10, "--forecaster", "naive") == 0
    out = capsys.readouterr().out
    assert "shop: 4h from 2026-01-01T06:00:00Z" in out
    assert out.count("reactive") == 2
    assert "forecasts by naive (1 fit)" in out
    assert re.search(r"^took .+: .+s for fits and forecasts, .+s for all else$", out, re.MULTILINE)


def test_two_processes_say_what_one_says(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(trace), "--target", "10", "--forecaster", "naive", "--refit-every", "1h", "--json"]
    assert main([*arguments, "--jobs", "1"]) == 0
    one = figures(capsys)
    assert main([*arguments, "--jobs", "2"]) == 0
    two = figures(capsys)
    assert {**one, "seconds": 0} == {**two, "seconds": 0}


@pytest.mark.parametrize(
    "document",
    [
        {"scaleDown": {"stabilizationWindowSeconds": 60}},
        {"kind": "HorizontalPodAutoscaler", "spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}},
        {
            "kind": "ScaledObject",
            "spec": {
                "advanced": {
                    "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}
                }
            },
        },
    ],
)
def test_a_behavior_is_read_from_a_file(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], document: dict[str, object]
) -> None:
    path = tmp_path / "behavior.json"
    path.write_text(json.dumps(document))
    costs = []
    for behavior in ("none", "default", path):
        assert replay(trace, "--target", 10, "--policy", "reactive", "--behavior", behavior, "--json") == 0
        costs.append(figures(capsys)["pod_hours"])
    assert costs[2] < costs[1]  # type: ignore[operator]  # these are numbers


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--behavior", "nowhere.json"),
            (
                "--behavior nowhere.json: cannot be read: No such file or directory; there are also none, default "
                "and recommended"
            ),
        ),
        (("--max-replicas", "2", "--min-replicas", "3"), "--max-replicas 2 is below --min-replicas"),
        (("--step", "7"), "--step 7: a series at a step of 60 s cannot be held at 7 s: that does not divide it"),
        (
            ("--train-end", "2030-01-01"),
            ("--train-end 2030-01-01T00:00:00Z must leave samples on both sides; the series goes from "
            "2026-01-01T00:00:00Z to 2026-01-01T09:59:00Z"),
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_told(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert replay(trace, "--target", 10, *arguments) == 1
    assert capsys.readouterr().err == f"foresail replay: settings: {says}\n"


def test_a_behavior_file_without_one_is_told(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hpa.json"
    for text, says in (
        ('{"spec": {"maxReplicas": 3}}', "holds no behavior with scaleUp or scaleDown"),
        ("a: b", "is not JSON (Expecting value: line 1 column 1 (char 0)); kubectl get hpa NAME -o json writes it"),
    ):
        path.write_text(text)
        assert replay(trace, "--target", 10, "--behavior", path) == 1
        assert capsys.readouterr().err == f"foresail replay: settings: --behavior {path}: {says}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--target", "0"), 'argument --target: "0": it must be a number of at least 0.001'),
        (("--target", "1", "--pod-startup", "3x"), 'argument --pod-startup: "3x": it must be a duration of at most 1h'),
        (("--target", "1", "--train-end", "noon"), 'argument --train-end: "noon": it must be epoch seconds or'),
        (("--target", "1", "--quantile", "1"), 'argument --quantile: "1": it must be a number from 0.5 to 0.999'),
        (
            ("--target", "1", "--time-zone", "Europe/Berln"),
            (
                'argument --time-zone: "Europe/Berln": it must be a time zone such as UTC or Europe/Berlin; did you '
                "mean Europe/Berlin?; foresail replay --help"
            ),
        ),
        (
            ("--target", "1", "--holidays", "Bavaria"),
            (
                'argument --holidays: "Bavaria": it must be a country whose public holidays are known, such as DE, or '
                "a part of it, such as DE-BY; foresail replay --help"
            ),
        ),
    ],
)  # fmt: skip
def test_an_argument_that_cannot_be_read_is_a_usage_error(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        replay(trace, *arguments)
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


def test_where_no_method_has_enough_history_the_observed_load_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, out = tmp_path / "young.csv", tmp_path / "decisions.csv"
    trace.write_text("".join(f"{60 * n},{50 + n}\n" for n in range(40)))
    arguments = (trace, "--target", 10, "--forecaster", "seasonal-profile", "--decisions", out)
    assert replay(*arguments) == 0
    said = capsys.readouterr().out
    assert "forecasts by none (1 fit): seasonal-profile needs" in " ".join(said.split())
    assert {row["reason"].split(",")[0] for row in rows(out)} == {"observed"}


def test_a_sweep_says_what_plain_keda_sheds_for_the_same_money(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(trace, "--target", 10, "--forecaster", "naive", "--quantile", 0.6, "--headroom", 1, "--sweep") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "plain KEDA given the same pod-hours sheds" in said
    assert replay(trace, "--target", 10, "--policy", "reactive", "--sweep", "--forecaster", "naive") == 0
    assert "plain KEDA given the same pod-hours" not in capsys.readouterr().out


@pytest.mark.parametrize(("policy", "label"), [("reactive", "plain KEDA, headroom 1.3"), ("oracle", "an oracle")])
def test_a_page_can_be_about_any_policy(trace: Path, tmp_path: Path, policy: str, label: str) -> None:
    page = tmp_path / "report.html"
    headroom = ("--headroom", 1.3) if policy == "reactive" else ()
    assert replay(trace, "--target", 10, "--policy", policy, *headroom, "--forecaster", "naive", "--html", page) == 0
    text = page.read_text()
    assert f"<td>{label}</td>" in text
    assert "given the same pod-hours" not in text


def test_whose_clocks_and_holidays_were_followed_is_in_the_scaled_object(trace: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    arguments = (trace, "--target", 10, "--policy", "reactive", "--html", page)
    assert replay(*arguments, "--time-zone", "Europe/Oslo", "--holidays", "NO") == 0
    text = html.unescape(page.read_text())
    assert "        timeZone: Europe/Oslo\n" in text
    assert '        holidays: "NO"\n' in text  # unquoted it would be false
    assert replay(*arguments) == 0
    assert "timeZone" not in page.read_text()
    assert "holidays" not in page.read_text()


def test_a_page_can_be_about_fits_with_different_quantiles(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first model has seen a rhythm, the second has seen noise begin: another quantile is affordable."""
    lines = trace.read_text().splitlines()
    noise = np.random.default_rng(1).gamma(0.2, 200.0, MINUTES)
    for minute in range(420, MINUTES):
        time, load = lines[1 + minute].split(",")
        lines[1 + minute] = f"{time},{float(load) + noise[minute]}"
    trace.write_text("\n".join(lines) + "\n")
    page = tmp_path / "report.html"
    arguments = (trace, "--target", 10, "--forecaster", "naive", "--refit-every", "1h", "--html", page)
    assert replay(*arguments, "--json") == 0
    assert figures(capsys)["quantile"] not in CHOICES  # the mean of different ones
    assert "Do the forecasts keep their promise?" in page.read_text()


class TestEvents:
    """`--events`: what Foresail is told of ahead of time."""

    START = 1767225600

    @pytest.fixture
    def launches(self, tmp_path: Path) -> Path:
        """Ten hours of 50, and of 300 for half an hour at 3:00 and at 7:00; the second is in the part replayed."""
        load = np.full(MINUTES, 50.0)
        for hour in (3, 7):
            load[60 * hour : 60 * hour + 30] = 300.0
        lines = [f"{self.START + 60 * n},{value}" for n, value in enumerate(load)]
        (tmp_path / "launches.csv").write_text("timestamp,value\n" + "\n".join(lines) + "\n")
        return tmp_path / "launches.csv"

    def run(self, launches: Path, capsys: pytest.CaptureFixture[str], *more: object) -> dict[str, object]:
        common = (
            "--target",
            10,
            "--forecaster",
            "seasonal-naive",
            "--pod-startup",
            "3m",
            "--timing-margin",
            0,
            "--json",
        )
        assert replay(launches, *common, *more) == 0
        return figures(capsys)

    def test_what_is_announced_is_served_before_it_comes_and_not_learned(
        self, launches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = tmp_path / "events.txt"
        told.write_text(
            "first: at 2026-01-01T03:00 for 30m factor 6\n"
            "second: at 2026-01-01T08:00 for 30m factor 6 in Europe/Berlin\n"
        )
        out = tmp_path / "decisions.csv"
        with_, without = (
            self.run(launches, capsys, "--events", told, "--decisions", out),
            self.run(launches, capsys),
        )
        assert with_["under_provisioned_load"] == 0.0
        assert without["under_provisioned_load"] > 0.02  # type: ignore[operator]  # a number
        reasons = {row["timestamp"]: row["reason"].split(",")[0] for row in rows(out)}
        begins = self.START + 7 * 3600
        assert [reasons[str(begins + seconds)] for seconds in (-300, -225, -15)] == ["observed", "event", "event"]
        served = {int(row["timestamp"]): float(row["served"]) for row in rows(out)}
        assert served[begins - 225] == 300.0
        assert served[begins + 3600] < 100.0  # neither the event nor a forecast that has learned it

    def test_times_without_a_zone_are_of_the_one_that_the_load_follows(
        self, launches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = tmp_path / "events.txt"
        told.write_text("second: at 2026-01-01T08:00 for 30m factor 6\n")
        shed = [
            self.run(launches, capsys, "--events", told, "--time-zone", zone)["under_provisioned_load"]
            for zone in ("UTC", "Europe/Berlin")
        ]
        assert shed[0] > shed[1] == 0.0  # type: ignore[operator]  # these are numbers

    def test_cutting_the_file_changes_no_row_before(self, launches: Path, tmp_path: Path) -> None:
        told = tmp_path / "events.txt"
        told.write_text("daily: cron 0 7 * * * for 30m factor 6\nfirst: at 2026-01-01T03:00 for 30m factor 6")
        lines = launches.read_text().splitlines()
        tables = []
        for keep in (len(lines), 7 * 60 + 20):
            (tmp_path / "cut.csv").write_text("\n".join(lines[:keep]) + "\n")
            common = ("--target", 10, "--forecaster", "seasonal-profile", "--train-end", self.START + 21600, "--json")
            out = tmp_path / f"{keep}.csv"
            assert replay(tmp_path / "cut.csv", *common, "--events", told, "--decisions", out) == 0
            tables.append(rows(out))
        whole, cut = tables
        assert len(cut) > 200
        assert whole[: len(cut)] == cut

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (None, "cannot be read: No such file or directory"),
            (
                "nonsense",
                '"nonsense" must begin with a name and a colon, as in launch: at 2026-11-27T08:00 for 2h factor 2',
            ),
        ],
    )
    def test_a_file_without_events_is_told(
        self, launches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
    ) -> None:
        path = tmp_path / "events.txt"
        if text is not None:
            path.write_text(text)
        assert replay(launches, "--target", 10, "--events", path) == 1
        assert capsys.readouterr().err == f"foresail replay: settings: --events {path}: {says}\n"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("web", "--scale-target web: it must be NAMESPACE/NAME of a Deployment or StatefulSet"),
        ("shop/", "--scale-target shop/: it must be NAMESPACE/NAME of a Deployment or StatefulSet"),
        ("shop/web", "--scale-target needs a --source whose kube-state-metrics can be asked"),
    ],
)
def test_a_workload_that_cannot_be_asked_for_is_told(
    trace: Path, capsys: pytest.CaptureFixture[str], target: str, says: str
) -> None:
    assert replay(trace, "--target", 10, "--scale-target", target) == 1
    assert capsys.readouterr().err == f"foresail replay: settings: {says}\n"


def test_the_trained_models_that_settings_point_at_are_used(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (trace, "--target", "12", "--forecaster", "lstm", "--quantile", "0.9", "--json")
    assert replay(*arguments) == 0
    shipped = figures(capsys)
    model = tmp_path / "lstm.bin"
    model.write_bytes(random_network().to_bytes())
    monkeypatch.setenv("FORESAIL_LSTM_MODEL", str(model))
    assert replay(*arguments) == 0
    assert figures(capsys)["pod_hours"] != shipped["pod_hours"]
