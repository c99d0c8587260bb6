"""What a conversation leaves is freed soon, and what was loaded costs the collector nothing."""

import gc
import subprocess
import sys
import weakref

from local_voice import memory_back


class Knot:
    """Points at itself, as sessions and their tasks do."""

    def __init__(self) -> None:
        self.itself = self


def test_a_knot_that_nobody_holds_is_freed():
    gc.disable()
    try:
        knot = weakref.ref(Knot())
        assert knot() is not None, "by itself it would stay until the collector comes by"
        memory_back.give_back()
        assert knot() is None
    finally:
        gc.enable()


def test_what_was_loaded_is_out_of_the_collector_s_sight():
    program = (
        "import gc; from local_voice import memory_back; kept = [[n] for n in range(1000)]; "
        "memory_back.settle(); print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_a_c_library_that_can_not_give_back_is_no_reason_to_fail(monkeypatch):
    monkeypatch.setattr(memory_back, "_trim", None)
    memory_back.give_back()
