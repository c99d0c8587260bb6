"""A conversation can be gone on with for half a minute, once, by whoever knows its name."""

from local_voice.events import Message
from local_voice.resume import KEPT_SECONDS, MOST_KEPT, Resumable

SAID = (Message("user", "I am Ann."), Message("assistant", "Hello Ann."))


def test_a_kept_conversation_is_given_once():
    kept = Resumable()
    name = kept.new_name()
    kept.keep(name, SAID, 10.0)
    assert kept.take(name, 10.0 + KEPT_SECONDS - 0.1) == SAID
    assert kept.take(name, 10.0) == ()


def test_after_half_a_minute_it_is_forgotten():
    kept = Resumable()
    kept.keep("name", SAID, 10.0)
    assert kept.take("name", 10.0 + KEPT_SECONDS) == ()


def test_nobody_guesses_a_name_and_nothing_is_kept_of_silence():
    kept = Resumable()
    assert len({kept.new_name() for _ in range(100)}) == 100
    assert len(kept.new_name()) >= 22
    kept.keep("name", (), 0.0)
    assert not kept._kept


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    kept = Resumable()
    for number in range(MOST_KEPT + 1):
        kept.keep(str(number), SAID, 0.0)
    assert kept.take("0", 0.0) == ()
    assert kept.take("1", 0.0) == SAID
