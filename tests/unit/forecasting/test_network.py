from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import InvalidState
from forecasting.features.pasts import Rows
from forecasting.features.sequence import inputs
from forecasting.models.naive import Naive
from forecasting.network import KNOTS, Network
from forecasting.serialise import dumps
from tests.support.networks import daily_load, random_network


def test_quantiles_never_cross_and_a_row_does_not_depend_on_its_neighbours() -> None:
    series, network = daily_load(5.0, 1), random_network()
    origins = np.arange(400, 440, dtype=np.int64)
    together = network.predict(inputs(Rows.of(series, origins, 5.0), [1, 3, 12]))
    assert together.shape == (40, 6, len(KNOTS))
    assert (np.diff(together, axis=2) > 0).all()
    for row in (0, 17, 39):
        alone = network.predict(inputs(Rows.of(series, origins[row : row + 1], 5.0), [1, 3, 12]))
        np.testing.assert_array_equal(alone[0], together[row])


def test_bytes_come_back_as_the_network() -> None:
    network = random_network()
    read = Network.from_bytes(network.to_bytes())
    assert read.to_bytes() == network.to_bytes()
    assert read.digest() == network.digest() != random_network(seed=2).digest()


def test_what_is_no_network_is_refused() -> None:
    naive = Naive().fit(daily_load(1.0, 1), horizon=3, levels=(0.5,))
    with pytest.raises(InvalidState, match="these bytes are a FittedNaive, not a recurrent network"):
        Network.from_bytes(dumps(naive))
    with pytest.raises(InvalidState, match="these bytes are not a fitted forecaster"):
        Network.from_bytes(random_network().to_bytes()[:-100])


def test_weights_that_do_not_fit_each_other_or_are_not_finite_are_refused() -> None:
    network = random_network(units=6, dense=8)
    odd = replace(network, ask=network.ask[:-1])
    with pytest.raises(InvalidState, match=r"the network's ask has shape \(26, 8\), this version needs \(27, 8\)"):
        Network.from_bytes(odd.to_bytes())
    broken = replace(network, out=np.full_like(network.out, np.nan))
    with pytest.raises(InvalidState, match="the network's out must hold finite numbers of single precision"):
        Network.from_bytes(broken.to_bytes())
