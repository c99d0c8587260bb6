"""Piper behind OpenAI's `/v1/audio/speech`, for a peer that has no Piper of its own.

    python -m benchmarks.peers.piper_speech VOICE.onnx PORT THREADS

Runs in the peer's virtual environment. Piper speaks as it comes, on threads like ours: each sentence is sent
as soon as it is spoken, as raw 16-bit samples. They are brought to the peer's own 16 kHz here, by soxr: left
to the peer, whose filter works at 320 times the rate for a voice of 22,050 Hz, a short sentence took 14 s.
The voice is warm before the port is open.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from benchmarks.piper_voice import piper_voice

RATE = 16_000


def main() -> None:
    """Command line."""
    voice = piper_voice(Path(sys.argv[1]), int(sys.argv[3]))
    list(voice.synthesize("Hello."))
    app = FastAPI()

    @app.post("/v1/audio/speech")
    def speech(request: dict[str, Any]) -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            for piece in voice.synthesize(request["input"]):
                sound = soxr.resample(piece.audio_float_array, piece.sample_rate, RATE)
                yield np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2").tobytes()

        return StreamingResponse(pieces(), media_type="audio/pcm")

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
