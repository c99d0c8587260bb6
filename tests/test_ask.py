"""Questions from files, without the models."""

import numpy as np
import pytest

from local_voice.ask import ask
from local_voice.audio import write_wav
from local_voice.settings import Settings, TurnSettings


class Listener:
    """An assistant that notes how its conversations are to be held."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.held: list[Settings] = []

    async def converse(self, transport, *, trace, settings) -> None:
        self.held.append(settings)


@pytest.mark.parametrize(
    ("mode", "held"),
    [("push_to_talk", "full_duplex"), ("half_duplex", "half_duplex"), ("full_duplex", "full_duplex")],
)
async def test_a_file_is_heard_though_nobody_holds_a_key(mode, held, tmp_path):
    question = tmp_path / "question.wav"
    write_wav(question, [np.zeros(1600, np.float32)], 16_000)
    assistant = Listener(Settings(turn=TurnSettings(mode=mode, wake_phrase="computer")))
    await ask(assistant, [question])
    assert [(one.turn.mode, one.turn.wake_phrase) for one in assistant.held] == [(held, "computer")]
