from foresail_drift import Drift

from forecasting.conformance import check_forecaster


def test_it_conforms() -> None:
    check_forecaster(Drift(window=20), days=2)
