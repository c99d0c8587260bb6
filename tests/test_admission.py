"""Whether one more conversation is let in: what is measured decides, and the answer says why."""

import pytest

from local_voice.admission import Admission
from local_voice.gate import RefusalError
from local_voice.metrics import Metrics
from local_voice.settings import ServerSettings


class Machine:
    """What is measured."""

    def __init__(self, **settings) -> None:
        self.warming = ""
        self.jobs: dict[str, int] = {}
        self.metrics = Metrics()
        self.admission = Admission(
            ServerSettings(**settings), lambda: self.warming, lambda: self.jobs, self.metrics
        )

    def live(self, seconds: float, late: float = 0.0) -> None:
        """So many seconds go by, the loop being `late` all the time."""
        for _ in range(round(seconds * 10)):
            self.admission.lag.note(late)

    def refusal(self, sessions: int = 0) -> str:
        try:
            self.admission.check(sessions)
        except RefusalError as error:
            refused = error
        else:
            return ""
        assert refused.status == 503
        assert refused.retry_seconds
        assert refused.sentence.endswith(".")
        return refused.reason


def test_there_are_only_so_many_places():
    machine = Machine(max_sessions=2)
    assert [machine.refusal(open) for open in (0, 1, 2, 3)] == ["", "", "full", "full"]


def test_nobody_is_let_in_before_the_models_are_warm_nor_after_the_end_has_begun():
    machine = Machine()
    machine.warming = "loading the voice"
    assert machine.refusal() == "warming"
    machine.warming = ""
    assert machine.refusal() == ""
    machine.admission.stopping = True
    assert machine.refusal() == "stopping"


def test_a_loop_that_is_late_for_seconds_lets_nobody_in_and_one_late_moment_does_not_matter():
    machine = Machine(busy_lag_seconds=0.25)
    machine.live(0.1, late=2.0)
    assert machine.refusal() == ""
    machine.live(10.0, late=0.5)
    assert machine.refusal() == "busy"
    machine.live(10.0)
    assert machine.refusal() == ""


def test_an_engine_that_others_wait_for_lets_nobody_in_until_they_have_been_served():
    machine = Machine(busy_jobs=3.0)
    machine.jobs = {"stt": 6, "tts": 0}
    machine.live(0.5)
    assert machine.refusal() == "", "a burst is no queue"
    machine.live(10.0)
    assert machine.refusal() == "queue"
    machine.jobs = {"stt": 0, "tts": 1}
    machine.live(10.0)
    assert machine.refusal() == ""


def test_what_is_measured_is_shown():
    machine = Machine()
    machine.jobs = {"llm": 2}
    machine.live(0.3, late=0.03)
    text = machine.metrics.text().decode()
    assert 'local_voice_engine_queue{engine="llm"} 2.0' in text
    assert "local_voice_loop_lag_seconds_count 3.0" in text


@pytest.mark.parametrize("jobs", [{}, {"stt": 0}])
def test_an_idle_machine_lets_people_in(jobs):
    machine = Machine()
    machine.jobs = jobs
    machine.live(10.0)
    assert machine.refusal() == ""
