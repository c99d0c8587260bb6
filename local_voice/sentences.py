"""The sentences that the assistant says without a language model; rendered at start-up."""

from __future__ import annotations

from local_voice.events import Stage

APOLOGIES: dict[Stage, str] = {
    "stt": "Sorry, I could not make that out. Please say it again.",
    "llm": "Sorry, I can't think right now. Please try again in a moment.",
    "tts": "Sorry, I lost my voice for a moment. Please try again.",
}
"""What the user hears when a stage fails; rendered at start-up, so that no engine is needed.

They are not in the history: a small model that reads them there goes on apologising when it is well again
(Qwen2.5-Coder 0.5B did, turn after turn, in the browser test with a killed engine)."""

STILL_THERE = "Are you still there?"
"""Asked once after `turn.idle_seconds` of silence."""

YES = "Yes?"
"""The answer to a wake phrase that comes alone."""

SENTENCES = (*APOLOGIES.values(), STILL_THERE, YES)
"""All that `Say` may name."""
