"""Buckets: how they fill, for whom, and that their number has an end."""

from hypothesis import given
from hypothesis import strategies as st

from local_voice import rate_limit
from local_voice.rate_limit import RateLimit, network


def test_a_burst_passes_then_one_each_interval():
    limit = RateLimit(rate=2.0, burst=3.0)
    assert [limit.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limit.take("a", 0.25) == 0.25
    assert limit.take("a", 0.5) == 0.0
    assert limit.take("a", 0.5) > 0.0
    assert limit.take("b", 0.5) == 0.0, "another address has a bucket of its own"


def test_a_bucket_never_holds_more_than_its_burst_nor_owes_more():
    limit = RateLimit(rate=1.0, burst=2.0)
    assert [limit.take("a", 1_000.0) for _ in range(3)][2] > 0.0
    for _ in range(100):
        limit.charge("a", 1_000.0, 50.0)
    assert limit.take("a", 1_000.0) == 3.0
    assert limit.take("a", 1_003.0) == 0.0


def test_what_costs_more_takes_more():
    limit = RateLimit(rate=1.0, burst=10.0)
    assert limit.take("a", 0.0, cost=8.0) == 0.0
    assert limit.take("a", 0.0, cost=8.0) == 6.0
    assert limit.take("a", 0.0, cost=2.0) == 0.0


def test_a_rate_of_0_limits_nothing():
    limit = RateLimit(rate=0.0, burst=0.0)
    limit.charge("a", 0.0, 60.0)
    assert all(limit.take("a", 0.0, cost=10.0) == 0.0 for _ in range(1_000))


def test_a_clock_that_goes_back_gives_nothing_away():
    limit = RateLimit(rate=1.0, burst=1.0)
    assert limit.take("a", 100.0) == 0.0
    assert limit.take("a", 50.0) == 1.0


def test_the_number_of_buckets_has_an_end(monkeypatch):
    monkeypatch.setattr(rate_limit, "MOST_ADDRESSES", 2)
    limit = RateLimit(rate=1.0, burst=1.0)
    for address in ("a", "b", "c"):
        assert limit.take(address, 0.0) == 0.0
    assert limit.take("c", 0.0) > 0.0
    assert limit.take("a", 0.0) == 0.0, "the oldest was forgotten"
    assert len(limit._levels) == 2


def test_a_customer_s_ipv6_network_is_one_address():
    assert network("2001:db8:1:2:aaaa::1") == network("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7"
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("") == ""


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20)), max_size=60))
def test_nobody_gets_more_than_burst_and_rate_allow(steps):
    limit = RateLimit(rate=1.5, burst=5.0)
    now = taken = 0.0
    for wait, cost in steps:
        now += wait
        if limit.take("a", now, cost) == 0.0:
            taken += cost
    assert taken <= 5.0 + 1.5 * now + 1e-6
