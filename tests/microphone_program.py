"""A program that holds the microphone open, for tests: what it hears and plays can be compared with files.

`python microphone_program.py FOLDER SECONDS [echo]` plays FOLDER/play.wav, if there is one, after half a
second, writes what it has heard to FOLDER/heard.wav, and prints the user's notices, one a line. If it hangs,
it says where and ends.
"""

import asyncio
import faulthandler
import sys
from pathlib import Path

import numpy as np

from local_voice.audio import Resampler, read_wav, write_wav
from local_voice.engines.echo_canceller import EchoCanceller
from local_voice.settings import AudioSettings
from local_voice.stages import Notice, StartupError
from local_voice.transports.microphone import Microphone


async def main(folder: Path, seconds: float, echo: bool) -> None:
    def show(notification: object) -> None:
        if isinstance(notification, Notice):
            print(notification.text, flush=True)

    heard: list[np.ndarray] = []
    async with Microphone(AudioSettings(), EchoCanceller if echo else None, show=show) as microphone:
        playout = microphone.playout
        print(f"open at {playout.sample_rate} Hz", flush=True)
        played = False
        async for chunk in microphone.incoming():
            assert chunk.start == sum(map(len, heard))
            heard.append(chunk.samples)
            now = (chunk.start + len(chunk.samples)) / chunk.sample_rate
            if not played and now >= 0.5 and (folder / "play.wav").is_file():
                sound = read_wav(folder / "play.wav")
                samples = Resampler(sound.sample_rate, playout.sample_rate).process(sound.samples, last=True)
                playout.open(1, 0)
                playout.write(1, 0, samples)
                playout.release(1, 0)
                playout.finish(1, 0)
                played = True
            if now >= seconds:
                break
    print(f"delay {playout.delay_seconds:.3f} s", flush=True)
    write_wav(folder / "heard.wav", [np.concatenate(heard)], 16_000)
    if microphone.failure:
        raise SystemExit(3)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), "echo" in sys.argv[3:]))
    except StartupError as error:
        raise SystemExit(str(error)) from error
