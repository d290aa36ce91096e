"""A fixture for each balancer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .balancers import BALANCERS, Balancer, Software


@pytest.fixture(params=BALANCERS, ids=lambda software: software.name)
def balancer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Balancer]:
    """Return a balancer that does not run yet."""
    software: Software = request.param
    if software.program is None:
        pytest.skip(f"{software.name} is not installed")
    balancer = Balancer(software, tmp_path)
    yield balancer
    balancer.stop()
