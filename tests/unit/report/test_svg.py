from __future__ import annotations

from scaler.report.svg import Plot, nice_ticks, time_ticks


def test_ticks_are_round() -> None:
    assert nice_ticks(0.0, 100.0) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert nice_ticks(0.95, 2.1) == [1.0, 1.5, 2.0]
    assert nice_ticks(3.0, 3.0) == [3.0]
    assert time_ticks(100.0, 3700.0, count=4) == [
        (900.0, "00:15"),
        (1800.0, "00:30"),
        (2700.0, "00:45"),
        (3600.0, "01:00"),
    ]
    assert time_ticks(0.0, 86400.0 * 8)[1] == (86400.0, "2 Jan")


def test_a_plot_breaks_its_line_where_nothing_is_known() -> None:
    plot = Plot("a < b", (0.0, 2.0), (0.0, 1.0))
    plot.line([(0.0, 0.5), (1.0, float("nan")), (2.0, 0.5)], "load")
    svg = plot.render()
    assert 'aria-label="a &lt; b"' in svg
    assert svg.count("M") == 2
    assert "L" not in svg.split(' d="')[1]
