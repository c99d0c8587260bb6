"""Which settings can change while the server runs: those that are asked for at each conversation.

What the engines were loaded with, and what the door was built with, stays as it was until a restart.
"""

from __future__ import annotations

from typing import Any

from local_voice.settings import Settings

LIVE: dict[str, frozenset[str] | None] = {
    "turn": None,
    "llm": frozenset({"system_prompt"}),
    "recording": None,
    "server": frozenset(
        {
            "max_sessions",
            "busy_lag_seconds",
            "busy_jobs",
            "drain_seconds",
            "log_conversations",
            "ice_servers",
            "turn_secret",
            "turn_user",
            "turn_password",
            "relay_only",
            "echo_cancellation",
        }
    ),
}
"""By group; None: all of it but `SETTLED`."""
SETTLED = frozenset({"turn.model", "turn.wake_phrase"})
"""Loaded with the engines; the recogniser is told how the wake phrase is spelt."""


def merged(old: Settings, new: Settings) -> tuple[Settings, list[str], list[str]]:
    """The old settings with what can change, the names of what did, and of what needs a restart."""
    changed: list[str] = []
    waiting: list[str] = []
    groups: dict[str, Any] = {}
    for group in type(old).model_fields:
        before, after = getattr(old, group), getattr(new, group)
        if before == after:
            continue
        if group == "profile":
            waiting.append(group)
            continue
        update = {}
        for field in type(before).model_fields:
            if getattr(before, field) == getattr(after, field):
                continue
            name = f"{group}.{field}"
            if _is_live(group, field):
                changed.append(name)
                update[field] = getattr(after, field)
            else:
                waiting.append(name)
        groups[group] = before.model_copy(update=update)
    return old.model_copy(update=groups), changed, waiting


def _is_live(group: str, field: str) -> bool:
    if group not in LIVE or f"{group}.{field}" in SETTLED:
        return False
    fields = LIVE[group]
    return fields is None or field in fields
