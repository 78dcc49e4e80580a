"""What workers say of their joins comes through JSON and adds up."""

import json
from collections import Counter

from benchmarks.crowd.outcome import Outcome


def test_outcomes_add_up_with_their_reasons_of_failure() -> None:
    first = Outcome(offered=5, joined=2, busy=1, seconds=2.0, offering_seconds=1.5)
    first.failed.update(["nothing received in time", "nothing received in time"])
    second = Outcome(offered=3, joined=2, seconds=1.0, offering_seconds=1.0, cpu_seconds=0.5)
    second.failed["ServerDisconnectedError"] += 1
    second.latencies_ms += [70.0, 80.0]
    messages = [json.loads(json.dumps(one.as_message())) for one in (first, second)]
    total = Outcome.from_messages(messages)
    assert (total.offered, total.joined, total.busy) == (8, 4, 1)
    assert total.failed == Counter({"nothing received in time": 2, "ServerDisconnectedError": 1})
    assert (total.seconds, total.offering_seconds, total.cpu_seconds) == (2.0, 1.5, 0.5)
    assert total.latencies_ms == [70.0, 80.0]
    assert total.goodput == 2.0
