"""Nonsense from outside, a few seconds of it: `python -m benchmarks.fuzz` goes on for as long as you like."""

import pytest

from benchmarks.fuzz import KINDS, target, throw

pytestmark = pytest.mark.doors
EXAMPLES = {"offers": 150, "requests": 80, "messages": 200, "sounds": 200}


@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_does_no_harm_and_leaves_nothing_behind(kind, caplog):
    caplog.set_level("WARNING")
    with target() as at:
        throw(at, kind, EXAMPLES[kind], number=5)
        assert at.outcomes.total() >= EXAMPLES[kind]
        assert at.slowest < 5.0
    assert [record for record in caplog.records if record.exc_info] == [], "nothing went wrong that is logged"
    expected = {"offers": "HTTP 200", "requests": "400", "messages": "Ping", "sounds": "read"}
    assert at.outcomes[expected[kind]] > 0, "not everything is refused at the first check"
