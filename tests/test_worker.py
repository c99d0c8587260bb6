import asyncio
import threading
import time

import pytest

from local_voice import worker as room
from local_voice.worker import MOST_GIVEN_UP, Worker, WorkerBusyError, WorkerClosedError


class Gate:
    """A job that holds its thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.opened.wait(timeout=10)
        return "through"

    async def wait_entered(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.entered.wait, 10)


async def settle() -> None:
    """Let tasks that were just made reach their first wait."""
    for _ in range(3):
        await asyncio.sleep(0)


def threads_named(prefix: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]


async def test_a_job_gives_its_result_from_a_thread_of_the_worker():
    async with Worker("own") as worker:
        name = await worker.run(lambda: threading.current_thread().name)
        assert name == "own-0"
        assert await worker.run(divmod, 7, 2) == (3, 1)


async def test_a_job_gives_its_exception_and_the_thread_lives_on():
    async with Worker("failing") as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.run(divmod, 1, 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await worker.run(next, iter(()))
        assert await worker.run(divmod, 7, 2) == (3, 1)


async def test_lower_numbers_go_first_and_equal_ones_in_order():
    order: list[str] = []
    gate = Gate()
    async with Worker("ordered") as worker, asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run(gate))
        await gate.wait_entered()
        for name, priority in (("partial 1", 1), ("partial 2", 1), ("final 1", 0), ("final 2", 0)):
            tasks.create_task(worker.run(order.append, name, priority=priority))
            await settle()
        gate.opened.set()
    assert order == ["final 1", "final 2", "partial 1", "partial 2"]


async def test_a_job_whose_caller_is_cancelled_before_it_begins_never_runs():
    ran: list[str] = []
    gate = Gate()
    async with Worker("cancelled") as worker:
        first = asyncio.create_task(worker.run(gate))
        await gate.wait_entered()
        second = asyncio.create_task(worker.run(ran.append, "second"))
        third = asyncio.create_task(worker.run(ran.append, "third"))
        await settle()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.opened.set()
        await asyncio.gather(first, third)
    assert second.cancelled()
    assert ran == ["third"]


async def test_a_job_whose_caller_is_cancelled_while_it_runs_ends_by_itself():
    gate = Gate()
    async with Worker("running") as worker:
        task = asyncio.create_task(worker.run(gate))
        await gate.wait_entered()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        gate.opened.set()
        assert await worker.run(divmod, 7, 2) == (3, 1)


async def test_a_full_queue_refuses_the_newest_of_the_least_urgent():
    gate = Gate()
    async with Worker("full", limit=2) as worker:
        first = asyncio.create_task(worker.run(gate))
        await gate.wait_entered()
        older = asyncio.create_task(worker.run(str, "older partial", priority=1))
        await settle()
        newer = asyncio.create_task(worker.run(str, "newer partial", priority=1))
        await settle()
        final = asyncio.create_task(worker.run(str, "final", priority=0))
        await settle()
        with pytest.raises(WorkerBusyError, match="full has 2 jobs waiting"):
            await newer
        with pytest.raises(WorkerBusyError):
            await worker.run(str, "one partial too many", priority=1)
        gate.opened.set()
        assert await asyncio.gather(first, older, final) == ["through", "older partial", "final"]


async def test_closing_refuses_what_waits_lets_what_runs_end_and_leaves_no_thread():
    gates = [Gate(), Gate()]
    worker = Worker("closing", threads=2)
    running = [asyncio.create_task(worker.run(gate)) for gate in gates]
    for gate in gates:
        await gate.wait_entered()
    waiting = asyncio.create_task(worker.run(str, "waiting"))
    await settle()
    closing = asyncio.create_task(worker.close())
    with pytest.raises(WorkerClosedError):
        await waiting
    assert not closing.done()
    for gate in gates:
        gate.opened.set()
    await closing
    assert await asyncio.gather(*running) == ["through", "through"]
    await worker.close()
    assert await gone("closing")
    with pytest.raises(WorkerClosedError):
        await worker.run(str, "too late")


async def gone(prefix: str) -> bool:
    """The thread that joins the others still has its last line to run when `close` returns."""
    deadline = time.monotonic() + 5
    while threads_named(prefix):
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
    return True


async def test_a_thousand_jobs_half_of_them_cancelled_all_come_to_an_end():
    async with Worker("crowd", threads=3, limit=2000) as worker:
        tasks = [
            asyncio.create_task(worker.run(divmod, number, 7, priority=number % 3)) for number in range(1000)
        ]
        await settle()
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, result in enumerate(results):
        if number % 2:
            assert result == divmod(number, 7)
        else:
            assert isinstance(result, asyncio.CancelledError) or result == divmod(number, 7)
    assert await gone("crowd")


def test_a_result_for_a_loop_that_is_gone_harms_nobody():
    worker = Worker("orphan")
    gate = Gate()

    async def leave_it_running() -> None:
        task = asyncio.create_task(worker.run(gate))
        await gate.wait_entered()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def use_it_again() -> tuple[int, int]:
        async with worker:
            return await worker.run(divmod, 7, 2)

    asyncio.run(leave_it_running())
    gate.opened.set()
    assert asyncio.run(use_it_again()) == (3, 1)


@pytest.fixture
def hours(monkeypatch) -> list[float]:
    """The worker's clock: what stands in it."""
    now = [0.0]
    monkeypatch.setattr(room, "monotonic", lambda: now[0])
    return now


async def hang(worker: Worker) -> Gate:
    """A job that does not come back, and whose caller has lost patience."""
    gate = Gate()
    task = asyncio.create_task(worker.run(gate))
    await gate.wait_entered()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return gate


async def test_a_thread_that_hangs_is_given_up_and_another_takes_over(hours, caplog):
    worker = Worker("hanging", patience=5.0)
    gate = await hang(worker)
    waiting = asyncio.create_task(worker.run(lambda: threading.current_thread().name))
    await settle()
    assert not waiting.done(), "it has not hung for long"
    hours[0] = 6.0
    assert await worker.run(divmod, 7, 2) == (3, 1)
    assert await waiting == "hanging-1"
    assert [record.getMessage() for record in caplog.records] == [
        "hanging-0 hangs for 6 s: another thread takes over (1 of at most 3)"
    ]
    await worker.close()
    assert await gone("hanging-1")
    assert threads_named("hanging-0"), "nobody waits for it"
    gate.opened.set()
    assert await gone("hanging")


async def test_those_who_wait_are_served_as_soon_as_the_caller_of_what_hangs_goes(hours):
    worker, gate = Worker("deadline", patience=5.0), Gate()
    late = asyncio.create_task(worker.run(gate))
    await gate.wait_entered()
    waiting = asyncio.create_task(worker.run(divmod, 7, 2))
    await settle()
    hours[0] = 15.0
    late.cancel()
    assert await waiting == (3, 1)
    gate.opened.set()
    await worker.close()


async def test_a_long_job_that_somebody_waits_for_is_left_alone(hours):
    worker, gate = Worker("long", patience=5.0), Gate()
    patient = asyncio.create_task(worker.run(gate))
    await gate.wait_entered()
    hours[0] = 100.0
    waiting = asyncio.create_task(worker.run(lambda: threading.current_thread().name))
    await settle()
    gate.opened.set()
    assert await patient == "through"
    assert await waiting == "long-0"
    await worker.close()


async def test_without_a_patience_nothing_is_ever_given_up(hours):
    worker = Worker("patient")
    gate = await hang(worker)
    hours[0] = 1e6
    waiting = asyncio.create_task(worker.run(lambda: threading.current_thread().name))
    await settle()
    gate.opened.set()
    assert await waiting == "patient-0"
    await worker.close()


async def test_so_many_threads_may_hang_and_no_more(hours):
    worker = Worker("crowded", patience=5.0)
    gates = []
    for _ in range(MOST_GIVEN_UP + 1):
        gates.append(await hang(worker))
        hours[0] += 6.0
    waiting = asyncio.create_task(worker.run(lambda: threading.current_thread().name))
    await settle()
    assert len(threads_named("crowded")) == MOST_GIVEN_UP + 1
    gates[0].opened.set()  # one comes back: its thread ends and makes room
    assert await gone("crowded-0")
    assert await worker.run(divmod, 7, 2) == (3, 1)
    assert await waiting == f"crowded-{MOST_GIVEN_UP + 1}"
    for gate in gates:
        gate.opened.set()
    await worker.close()
    assert await gone("crowded")


async def test_closing_waits_no_longer_than_the_patience_for_what_hangs():
    worker = Worker("closing-hung", patience=0.05)
    gate = Gate()
    running = asyncio.create_task(worker.run(gate))
    await gate.wait_entered()
    async with asyncio.timeout(5.0):
        await worker.close()
    gate.opened.set()
    assert await running == "through"
    assert await gone("closing-hung")
