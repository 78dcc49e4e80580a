"""Random commands, datagrams and times: some now, many more in the acceptance run."""

import pytest

from . import chaos
from .chaos_links import LinkedChaos


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_break_nothing(seed: int) -> None:
    done = chaos.run(seed, 400)
    assert done.sent_rtp > 0


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_of_two_planes_break_nothing(seed: int) -> None:
    done = chaos.run(seed, 300, LinkedChaos)
    assert isinstance(done, LinkedChaos)
    counters = done.far.counters()
    assert counters["link_in"] > 0
    assert counters["rtp_out"] > 0
