"""Questions from sound files, answered by the same session that the microphone and the browser use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_voice.assistant import Assistant
from local_voice.audio import read_wav
from local_voice.settings import Settings
from local_voice.stages import Caption, Notice, Notification, Timing
from local_voice.transports.recording import Recording


@dataclass(slots=True)
class Answer:
    """What became of one question."""

    question: Path
    heard: str = ""
    """The recognised words; empty when the file held no speech."""
    answered: str = ""
    """The words of the reply that were played."""
    seconds: dict[str, float] = field(default_factory=dict)
    """From the last voiced sample to each mark of the timeline, with the file read as fast as it goes."""
    problem: str = ""
    """Why there is no proper answer; empty when all went well."""

    @property
    def ok(self) -> bool:
        return bool(self.heard and self.answered and not self.problem)


class _Listener:
    """Files what the session tells the user under the question that it belongs to."""

    def __init__(self, questions: Sequence[Path]) -> None:
        self.answers = [Answer(question) for question in questions]
        self._turns: dict[int, Answer] = {}

    def __call__(self, notification: Notification, question: int) -> None:
        """`question`: number of the file that was being played when this was said."""
        match notification:
            case Caption("user", turn, text, final=True):
                answer = self._answer(turn, question)
                answer.heard = f"{answer.heard} {text}".strip()
            case Caption("assistant", turn, text, final=True):
                answer = self._answer(turn, question)
                answer.answered = f"{answer.answered} {text}".strip()
            case Timing(turn, seconds):
                self._answer(turn, question).seconds = seconds
            case Notice(text):
                self.answers[question].problem = text

    def _answer(self, turn: int, question: int) -> Answer:
        """A turn belongs to the question in which it was first heard of; a long one may hold several."""
        return self._turns.setdefault(turn, self.answers[question])


async def ask(
    assistant: Assistant,
    files: Sequence[Path],
    *,
    out: Path | None = None,
    trace: Path | None = None,
) -> list[Answer]:
    """Ask the files one after another as one conversation.

    `out`: a WAV with the questions on the left and the replies on the right. Raises `AudioFileError`
    before anything is asked when a file can't be read.
    """
    listener = _Listener(files)
    recording = Recording([read_wav(file) for file in files], paced=False, show=listener)
    async with recording:
        await assistant.converse(recording, trace=trace, settings=_without_key(assistant.settings))
    if out is not None:
        recording.save(out)
    for answer in listener.answers:
        if not answer.heard and not answer.problem:
            answer.problem = "no speech was recognised in it"
    return listener.answers


def _without_key(settings: Settings) -> Settings:
    """Nobody holds a talk key while a file is played."""
    if settings.turn.mode != "push_to_talk":
        return settings
    return settings.model_copy(update={"turn": settings.turn.model_copy(update={"mode": "full_duplex"})})
