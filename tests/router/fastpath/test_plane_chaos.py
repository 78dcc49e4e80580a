"""Random commands, datagrams and times: some now, many more in the acceptance run."""

import pytest

from . import chaos


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_break_nothing(seed: int) -> None:
    done = chaos.run(seed, 400)
    assert done.sent_rtp > 0
