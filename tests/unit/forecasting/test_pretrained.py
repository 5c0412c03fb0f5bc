from __future__ import annotations

import pytest

from forecasting.errors import InvalidParameter
from forecasting.network import NETWORKS, Network
from forecasting.pretrained import PRETRAINED, Pretrained
from tests.support.networks import random_network


@pytest.fixture
def networks() -> Pretrained[Network]:
    return Pretrained("recurrent network", file="lstm.bin", read=Network.from_bytes)


def test_the_shipped_model_is_known_by_its_digest_too(networks: Pretrained[Network]) -> None:
    shipped = networks.known(PRETRAINED)
    assert networks.known(shipped.digest()) is shipped
    assert networks.resolve(PRETRAINED) == shipped.digest()


def test_a_model_is_known_once_it_is_remembered(networks: Pretrained[Network]) -> None:
    network = random_network()
    with pytest.raises(InvalidParameter) as refused:
        networks.known(network.digest())
    shipped = networks.shipped().digest()
    assert str(refused.value) == (
        f"recurrent network {network.digest()!r} is not known to this process; known are: pretrained, {shipped}"
    )
    assert networks.known(networks.remember(network)) is network


def test_the_one_in_use_takes_the_shipped_ones_place_and_gives_it_back(networks: Pretrained[Network]) -> None:
    network = random_network()
    networks.use(network)
    assert networks.known(PRETRAINED) is network
    assert networks.resolve(PRETRAINED) == network.digest()
    networks.use(None)
    assert networks.known(PRETRAINED) is networks.shipped()


def test_the_shipped_network_is_small_and_told() -> None:
    shipped = NETWORKS.shipped()
    assert shipped.series >= 12
    assert "generated" in shipped.story
    assert len(shipped.to_bytes()) <= 300 * 1024
