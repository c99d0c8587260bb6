import io

from rich.console import Console

from local_voice.captions import Captions
from local_voice.stages import Caption, Notice, Notification, Status, Timing


def shown(notifications: list[Notification], *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, color_system=None)
    with Captions(console) as captions:
        for notification in notifications:
            captions.show(notification)
        assert isinstance(console.file, io.StringIO)
        before_leaving = console.file.getvalue()
    return before_leaving if terminal else console.file.getvalue()


TURN: list[Notification] = [
    Status("listening"),
    Status("hearing"),
    Caption("user", 1, "I would", final=False),
    Caption("user", 1, "I would like", final=True),
    Caption("user", 1, "I would like a [red] tea.", final=True),
    Status("thinking"),
    Timing(1, {"playback": 0.5}),
    Status("speaking"),
    Caption("assistant", 1, "Here", final=False),
    Caption("assistant", 1, "Here you are.", final=True),
    Status("listening"),
]


def test_without_a_terminal_there_is_one_line_for_each_side_of_a_turn():
    assert shown(TURN) == "You: I would like a [red] tea.\nAssistant: Here you are.\n"


def test_an_interrupted_reply_is_marked():
    cut = Caption("assistant", 1, "Once upon", final=True, interrupted=True)
    assert shown([cut]) == "Assistant: Once upon (interrupted)\n"


def test_a_notice_is_a_line():
    assert shown([Notice("The sound is back.")]) == "The sound is back.\n"


def test_what_was_said_is_not_lost_when_the_conversation_ends_in_the_middle():
    assert shown([Status("hearing"), Caption("user", 1, "Good", final=False)]) == "You: Good\n"


def test_a_turn_without_words_leaves_no_line():
    assert shown([Status("hearing"), Caption("user", 1, "", final=True), Status("listening")]) == ""


def test_a_terminal_shows_the_state_and_the_words_as_they_come():
    text = shown(TURN[:3], terminal=True)
    assert "Listening" in text
    assert "Hearing you" in text
    assert "You: I would" in text
    assert "Speaking" in shown(TURN[:9], terminal=True)
    assert "Assistant: Here" in shown(TURN[:9], terminal=True)


def test_a_terminal_keeps_the_finished_lines_in_order():
    text = shown(TURN, terminal=True)
    assert text.index("You: I would like a [red] tea.") < text.index("Assistant: Here you are.")
