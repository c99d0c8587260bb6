"""What tests of the real parts share: models, spoken questions, one assistant."""

from __future__ import annotations

from local_voice.environment import go_offline

go_offline()

import subprocess  # noqa: E402
from collections.abc import AsyncIterator, Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import pytest_asyncio  # noqa: E402

from local_voice.assistant import Assistant  # noqa: E402
from local_voice.model_store import ModelStore  # noqa: E402
from local_voice.settings_sources import load  # noqa: E402


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports begin without the seconds in which they look what else is at work."""
    monkeypatch.setattr("benchmarks.report.BUSY_SECONDS", 0.0)


@pytest.fixture(scope="session")
def model_path() -> Callable[[str], Path]:
    """The installed model of a catalogue name; `scripts/test` has pulled them all."""
    return ModelStore().path


@pytest.fixture(scope="session")
def speak(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Renders a sentence with a voice that is not the assistant's own, once."""
    folder = tmp_path_factory.mktemp("spoken")
    spoken: dict[tuple[str, str], Path] = {}

    def render(text: str, voice: str = "slt") -> Path:
        if (text, voice) not in spoken:
            path = folder / f"{len(spoken)}.wav"
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
            spoken[text, voice] = path
        return spoken[text, voice]

    return render


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def assistant() -> AsyncIterator[Assistant]:
    """The real thing with this machine's defaults, loaded once for all tests.

    It always takes the likeliest words, so that a test asks about one reply and not about luck.
    """
    async with Assistant(load(None, {"llm.temperature": "0"}).settings) as assistant:
        yield assistant
