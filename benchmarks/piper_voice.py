"""Piper's own voice in an ONNX session with the options of ours; for the peers too, in their environments."""

from __future__ import annotations

import json
from pathlib import Path

from piper.config import PiperConfig
from piper.voice import PiperVoice

from local_voice.onnx_session import cpu_session


def piper_voice(path: Path, threads: int) -> PiperVoice:
    """What `PiperVoice.load` makes, but for the threads: so many, and none that spins while it waits."""
    config = json.loads(path.with_name(path.name + ".json").read_text())
    return PiperVoice(session=cpu_session(path, threads), config=PiperConfig.from_dict(config))
