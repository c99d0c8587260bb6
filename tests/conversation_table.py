"""Drives a conversation window by window; no clock, no task, no model."""

from collections.abc import Sequence

from local_voice.conversation import Conversation
from local_voice.events import (
    Command,
    Event,
    FinalTranscript,
    PlaybackStarted,
    ReplyText,
    TurnCompletion,
    VoiceActivity,
)
from local_voice.settings import Settings, TurnSettings

WINDOW = 0.032


class Table:
    """A conversation, the time and the commands so far. Keywords are settings of the turn section."""

    def __init__(self, **turn: object) -> None:
        self.conversation = Conversation(Settings(turn=TurnSettings(**turn)))
        self.now = 0.0
        self.level = 0.0
        """Loudness of all that is heard, dB."""
        self.commands: list[Command] = []

    def hear(self, windows: str) -> list[Command]:
        """'#' is a window of speech, '.' one of silence."""
        given = []
        for letter in windows:
            self.now += WINDOW
            given += self.tell(VoiceActivity(0.95 if letter == "#" else 0.05, WINDOW, self.level))
        return given

    def tell(self, event: Event) -> list[Command]:
        commands = self.conversation.handle(event, self.now)
        self.commands += commands
        return commands

    def key(self) -> tuple[int, int]:
        return self.conversation.turn, self.conversation.revision

    def ask(self, text: str = "What time is it?", completion: float = 0.95) -> list[Command]:
        """A whole user turn: speech, transcript, verdict and enough silence to end it."""
        given = self.hear("#" * 20 + "...")
        given += self.tell(FinalTranscript(*self.key(), text))
        given += self.hear("...")
        given += self.tell(TurnCompletion(*self.key(), completion))
        return given + self.hear("." * 60)


def replying(text: str = "Once upon a time there was a king.", seconds: float = 2.0) -> Table:
    """A conversation in which the assistant has been speaking for `seconds`."""
    table = Table()
    table.ask("Tell me a story.")
    table.tell(ReplyText(1, 0, text))
    table.tell(PlaybackStarted(1, 0))
    table.hear("." * round(seconds / WINDOW))
    return table


def kinds(commands: Sequence[Command]) -> list[type]:
    return [type(command) for command in commands]


def only(kind: type, commands: Sequence[Command]) -> list[Command]:
    return [command for command in commands if isinstance(command, kind)]
