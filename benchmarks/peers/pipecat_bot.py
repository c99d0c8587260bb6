"""Pipecat's cascade as its own project generator writes it, on the models that it is given.

Runs in Pipecat's virtual environment (`compare_peers.py` makes it and starts this). The pipeline, the turn
strategies and the defaults are those of `pipecat init` and of docs.pipecat.ai: Silero with `stop_secs` 0.2,
Smart Turn v3.2 deciding the end, a segment's transcript that ends the wait, sentences to the voice as the
model writes them. Piper has no input by the word, so Pipecat hands it sentences. What differs from the
generated file: the models, the threads of Piper's, no greeting, and metrics off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService, PiperVoice
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transcriptions.language import Language
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from benchmarks.piper_voice import piper_voice


def load_like_ours(path: Path, **_: Any) -> PiperVoice:
    """In the place of `PiperVoice.load`, for which the service has no setting of threads."""
    return piper_voice(path, int(os.environ["PEER_TTS_THREADS"]))


PiperVoice.load = staticmethod(load_like_ours)


async def bot(runner_args: RunnerArguments) -> None:
    """One conversation."""
    params = {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    transport = await create_transport(runner_args, params)
    stt = WhisperSTTService(
        device=os.environ["PEER_DEVICE"],
        compute_type=os.environ["PEER_COMPUTE"],
        settings=WhisperSTTService.Settings(model=os.environ["PEER_WHISPER"], language=Language.EN),
    )
    llm = OpenAILLMService(
        api_key="none",
        base_url=os.environ["PEER_LLM_URL"],
        settings=OpenAILLMService.Settings(
            model=os.environ["PEER_LLM"],
            system_instruction=os.environ["PEER_PROMPT"],
            temperature=float(os.environ["PEER_TEMPERATURE"]),
            max_tokens=int(os.environ["PEER_TOKENS"]),
        ),
    )
    voice = Path(os.environ["PEER_VOICE"])
    tts = PiperTTSService(
        download_dir=voice.parent,
        settings=PiperTTSService.Settings(voice=voice.stem),  # on the CPU, as ours
    )
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.2))),
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant]),
        params=PipelineParams(),
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def gone(transport: object, client: object) -> None:
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
