from __future__ import annotations

from scaler.report.charts import calibration_chart
from scaler.report.svg import Plot

NAN = float("nan")


def test_a_band_is_closed_and_breaks_where_nothing_is_known() -> None:
    plot = Plot("fan", (0.0, 4.0), (0.0, 1.0))
    plot.band(
        [(0, 0.0, 1.0), (1, 0.0, 1.0), (2, NAN, 1.0), (3, 0.0, 1.0), (4, 0.0, 1.0)], "fan", opacity=0.25, says="a < b"
    )
    svg = plot.render()
    drawn = svg.split(' d="')[1].split('"')[0]
    assert drawn.count("M") == drawn.count("Z") == 2
    assert 'class="fan" style="fill-opacity:0.25"' in svg
    assert "<title>a &lt; b</title>" in svg


def test_a_band_of_less_than_two_points_is_not_drawn() -> None:
    plot = Plot("fan", (0.0, 4.0), (0.0, 1.0))
    plot.band([(0, 0.0, 1.0), (1, NAN, NAN)], "fan")
    assert plot.parts == []


def test_a_calibration_plot_has_a_line_for_each_curve_and_room_for_all_of_them() -> None:
    svg = calibration_chart([{0.9: 0.95, 0.5: 0.5}, {0.9: 0.31}])
    assert svg.count("promised 90.0%, actual ") == 2
    assert "promised 50.0%, actual 50.0%" in svg
    assert ">40%<" in svg  # the axis begins below what was kept
    assert 'class="p1"' in svg
    assert 'class="p2"' in svg


def test_an_empty_calibration_plot_stands() -> None:
    assert "diagonal" in calibration_chart([{}])


def test_the_label_at_the_very_end_stays_inside() -> None:
    plot = Plot("ends", (0.0, 10.0), (0.0, 1.0), width=960)
    plot.axes([(5.0, "half"), (10.0, "all of it")], [])
    svg = plot.render()
    assert 'text-anchor="middle">half<' in svg
    assert 'x="958.0" y="186" text-anchor="end">all of it<' in svg
