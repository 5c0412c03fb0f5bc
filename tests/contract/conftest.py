"""What KEDA is told is the same from either server: gRPC's core driven by us, and grpc.aio where that cannot be."""

from __future__ import annotations

from inspect import iscoroutinefunction

import pytest

from scaler.keda import core

_BOTH = ("test_keda_calls", "test_keda_server", "test_keda_streams", "test_keda_tls")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Has the tests of these modules run twice."""
    test = metafunc.function
    # Hypothesis, whose functions wrap the tests', makes hundreds of examples: one server's are enough
    if test.__module__.rpartition(".")[2] in _BOTH and iscoroutinefunction(test) and not hasattr(test, "hypothesis"):
        metafunc.fixturenames.append("served_by")
        metafunc.parametrize("served_by", ["core", "aio"], indirect=True)


@pytest.fixture
def served_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two servers a `KedaServer` is."""
    if request.param == "aio":
        monkeypatch.setattr(core, "usable", lambda: "a test wants the other")
    return str(request.param)
