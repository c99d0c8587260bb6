"""What one user reads of the conversation: their own words as they firm up, the reply's as they are heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from local_voice.conversation import Conversation
from local_voice.events import Message, PlaybackEnded, Transcribe
from local_voice.playout import Playout
from local_voice.stages import Caption


class Shown:
    """The captions of one conversation, each sent once."""

    def __init__(
        self,
        conversation: Conversation,
        playout: Playout,
        notify: Callable[[Caption], None],
        before: Sequence[Message] = (),
    ) -> None:
        """`before`: what was said and heard on a connection that broke; its page still shows it."""
        self._conversation = conversation
        self._playout = playout
        self._notify = notify
        self._newest = _words(before)
        """The newest message of the history, as far as it has been shown."""
        self._length = len(before)
        """Of the history then."""
        self._reply: Caption | None = None
        """As much of the reply that plays as has been shown."""

    def transcript(self, command: Transcribe, text: str) -> None:
        """The words of the turn so far. They are final when the reply is released, not before."""
        conversation = self._conversation
        if conversation.tentative:
            return  # perhaps the assistant's own voice, or a cough
        if (command.turn, command.revision) == (conversation.turn, conversation.revision):
            whole = conversation.user_text(text)
            if whole:
                self._notify(Caption("user", command.turn, whole, final=False))

    def history(self) -> None:
        """What the user said is final when it has entered the history."""
        history = self._conversation.history
        newest = _words(history)
        # A shorter history has lost its newest message.
        entered = len(history) > self._length or (len(history) == self._length and newest != self._newest)
        if entered and history[-1].role == "user":
            self._notify(Caption("user", self._conversation.turn, history[-1].content, final=True))
        self._newest, self._length = newest, len(history)

    def heard(self) -> None:
        """The words of the reply that have been heard by now."""
        if self._conversation.state != "speaking":
            return
        turn, revision = self._conversation.replying
        text = self._playout.heard(turn, revision)
        caption = Caption("assistant", turn, text, final=False)
        if text and caption != self._reply:
            self._reply = caption
            self._notify(caption)

    def reply_ended(self, event: PlaybackEnded) -> None:
        """All that was heard of the reply."""
        self._reply = None
        if event.heard:
            self._notify(
                Caption("assistant", event.turn, event.heard, final=True, interrupted=event.interrupted)
            )


def _words(history: Sequence[Message]) -> tuple[str, str]:
    """Who said the newest message, and what."""
    return (history[-1].role, history[-1].content) if history else ("", "")
