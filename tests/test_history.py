from local_voice.events import Message
from local_voice.history import TEMPLATE_TOKENS, prompt


def words(text: str) -> int:
    return len(text.split())


def chat(*lines: str) -> list[Message]:
    return [Message("user" if i % 2 == 0 else "assistant", line) for i, line in enumerate(lines)]


def test_a_short_conversation_is_shown_whole_after_the_system_prompt():
    history = chat("hello", "hi", "bye")
    assert prompt("be kind", history, 1000, words) == [Message("system", "be kind"), *history]


def test_an_interrupted_reply_is_marked_for_the_model():
    history = [Message("user", "go"), Message("assistant", "Once upon", interrupted=True)]
    assert prompt("", history, 1000, words)[-1].content == "Once upon —"


def test_two_user_messages_in_a_row_become_one():
    history = [Message("user", "one"), Message("user", "two")]
    assert prompt("", history, 1000, words)[1:] == [Message("user", "one two")]


def test_an_overflowing_conversation_loses_its_older_half_and_starts_with_the_user():
    history = chat(*(f"line number {i} is here" for i in range(21)))
    budget = 10 * (5 + TEMPLATE_TOKENS)
    shown = prompt("", history, budget, words)[1:]
    assert shown[-1] == history[-1]
    assert shown[0].role == "user"
    assert sum(words(m.content) + TEMPLATE_TOKENS for m in shown) <= budget


def test_prompts_of_successive_turns_mostly_extend_one_another():
    history: list[Message] = []
    breaks, last = 0, []
    for turn in range(60):
        history += [Message("user", f"question {turn}")]
        now = prompt("system", history, 200, words)
        if now[: len(last)] != last:
            breaks += 1
        last = now
        history += [Message("assistant", f"answer {turn}")]
    assert breaks <= 12


def test_the_last_message_is_shown_even_if_it_fits_nowhere():
    history = chat("word " * 500)
    assert prompt("", history, 100, words)[-1] == history[-1]


def test_messages_that_got_no_answer_do_not_fill_the_prompt_for_ever():
    history = [Message("user", f"{i} " + "word " * 20) for i in range(50)]
    shown = prompt("", history, 100, words)[1:]
    assert [message.role for message in shown] == ["user"]
    assert shown[0].content.endswith(history[-1].content)
    assert words(shown[0].content) + TEMPLATE_TOKENS <= 100
