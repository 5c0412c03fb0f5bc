from __future__ import annotations

from pathlib import Path

from scaler.engine.configuration import dumps, loads
from scaler.settings import Settings
from scaler.sources.base import SourceSpec


def test_the_engine_reads_the_very_settings_of_the_edge() -> None:
    spec = SourceSpec(
        kind="prometheus", address="https://p:9090", name="main", headers=(("X-Scope-OrgID", "a"),), password="s3cret"
    )
    settings = Settings(
        data_dir=Path("/var/lib/foresail"), allow_addresses=("127.0.0.1:9090",), fit_workers=3, sources={"main": spec}
    )
    assert loads(dumps(settings)) == settings
    assert loads(dumps(Settings())) == Settings()
