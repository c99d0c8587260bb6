"""The systems that are compared, each as a context: while it is open, a caller can be made.

All get the same files: Whisper, Piper's voice, Smart Turn (Pipecat brings its own copy), and the language
model, which the peers reach over vLLM's own server with the arguments that ours runs in its own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiortc import RTCSessionDescription

from benchmarks.answers import Event
from benchmarks.peers.environments import PIPECAT, SPEECH_TO_SPEECH, Environment, PeerError
from benchmarks.webrtc_client import Caller, CallError
from benchmarks.words import captioned
from local_voice.engines.vllm_builder import VllmBuilder
from local_voice.environment import HABITS, OFFLINE, ON_THIS_MACHINE
from local_voice.model_store import ModelStore
from local_voice.settings import Settings

READY_SECONDS = 300.0
STOP_SECONDS = 30.0
LANGUAGE_MODEL = "language-model"
OUR_LOG = "local-voice.log"
PIPECAT_LOG = "pipecat.log"
SPEECH_TO_SPEECH_LOG = "speech-to-speech.log"
ROOT = Path(__file__).parent.parent.parent

MakeCaller = Callable[[], Caller]


@dataclass(frozen=True)
class Setup:
    """What every system is started with."""

    settings: Settings
    flags: Sequence[str]
    """What of them is asked for with `--set`, as flags of our server."""
    logs: Path
    """A folder for logs."""


@dataclass(frozen=True)
class System:
    """One of those compared."""

    open: Callable[[Setup], contextlib.AbstractContextManager[MakeCaller]]
    environment: Environment | None
    """None: the one that runs this."""
    log: str
    """Its name in the folder for logs."""
    heard: Callable[[Sequence[Event], str], str]
    """The user's words, in messages of the data channel and lines of the log since a question began."""
    differs: str
    """What is not the same as in the others."""


class SdpCaller(Caller):
    """Calls a server that takes and gives bare SDP, as OpenAI's Realtime API does."""

    async def _exchange(self) -> None:
        headers = {"Content-Type": "application/sdp"}
        sdp = self._peer.localDescription.sdp
        async with (
            aiohttp.ClientSession() as http,
            http.post(self._url, data=sdp, headers=headers) as response,
        ):
            answer = await response.text()
            if response.status != 201:
                raise CallError(response.status, answer, None)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def cuda_libraries() -> dict[str, str]:
    """Where CTranslate2 finds CUDA's, which are packages of our own environment; nothing without a GPU."""
    folders = [str(found) for place in sys.path for found in sorted(Path(place).glob("nvidia/*/lib"))]
    before = os.environ.get("LD_LIBRARY_PATH", "")
    return {"LD_LIBRARY_PATH": os.pathsep.join([*folders, before])} if folders else {}


@contextlib.contextmanager
def running(
    command: list[str], ready: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server in a process group of its own, until `ready` answers. Raises `PeerError`.

    From here on SIGTERM ends this program as an exception does, so that it takes the server along.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
        try:
            _until_answers(ready, server, log)
            yield
        finally:
            _end(server)


def _until_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5.0):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.2)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise PeerError(f"{url} did not answer; its log {log} ends with: {last[0]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask the group to end, then make it."""
    for number, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(patience)
    # A child may outlive its leader.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


@contextlib.contextmanager
def language_model(settings: Settings, logs: Path) -> Iterator[str]:
    """vLLM's own server on our model with our engine's arguments, its prompt warm; gives the base URL.

    Less what is our code inside vLLM; and on a CPU the smallest blocks that vLLM takes without it.
    """
    llm = settings.llm
    port = free_port()
    flags = VllmBuilder(ModelStore().path(llm.model), llm, settings.profile)._arguments()
    for ours in ("additional_config", "distributed_executor_backend", "speculative_config"):
        del flags[ours]
    if settings.profile == "cpu":
        flags["block_size"] = 32
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--served-model-name", LANGUAGE_MODEL, "--disable-uvicorn-access-log"]
    # For peers that have no setting for these.
    command += ["--override-generation-config"]
    command += [json.dumps({"temperature": llm.temperature, "max_new_tokens": llm.max_tokens})]
    for name, value in flags.items():
        if value is True:
            command.append(f"--{name.replace('_', '-')}")
        elif value is not False:
            command += [f"--{name.replace('_', '-')}", str(value)]
    # Its log is all that tells why it didn't start; where logging is ours, it has none of vLLM's lines.
    environment = OFFLINE | ON_THIS_MACHINE | HABITS | {"VLLM_CONFIGURE_LOGGING": "1"}
    if settings.profile == "cpu":
        environment = environment | {"VLLM_CPU_OMP_THREADS_BIND": llm.threads}
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", logs / "vllm.log", environment):
        chat = [{"role": "system", "content": llm.system_prompt}, {"role": "user", "content": "Hello."}]
        body = json.dumps({"model": LANGUAGE_MODEL, "messages": chat, "max_tokens": 4}).encode()
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60):
            pass
        yield f"{url}/v1"


def _server(flags: list[str], log: Path) -> contextlib.AbstractContextManager[None]:
    port = flags[flags.index("--port") + 1]
    command = [sys.executable, "-m", "local_voice", *flags]
    return running(command, f"http://127.0.0.1:{port}/readyz", log)


def _browser(url: str) -> Caller:
    """A caller that cancels echo itself, as browsers do; neither peer has a canceller in the server."""
    caller = Caller(url)
    caller.cancels_echo = True
    return caller


@contextlib.contextmanager
def ours(setup: Setup) -> Iterator[MakeCaller]:
    """`local-voice serve`."""
    port = free_port()
    flags = [*setup.flags, "serve", "--port", str(port)]
    with _server(flags, setup.logs / OUR_LOG):
        yield lambda: _browser(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def ours_behind_a_url(setup: Setup) -> Iterator[MakeCaller]:
    """`local-voice serve` with the language model where the peers have it."""
    port = free_port()
    with language_model(setup.settings, setup.logs) as url:
        flags = [*setup.flags, "--llm.url", url, "serve", "--port", str(port)]
        with _server(flags, setup.logs / OUR_LOG):
            yield lambda: _browser(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def pipecat(setup: Setup) -> Iterator[MakeCaller]:
    """Pipecat's own development server with `pipecat_bot.py`."""
    settings, store, port = setup.settings, ModelStore(), free_port()
    with language_model(settings, setup.logs) as url:
        environment = {
            "PEER_DEVICE": settings.stt.device,
            "PEER_COMPUTE": settings.stt.compute_type,
            "PEER_WHISPER": str(store.path(settings.stt.model)),
            "PEER_VOICE": str(store.path(settings.tts.model)),
            "PEER_TTS_THREADS": str(settings.tts.threads),
            "PEER_LLM_URL": url,
            "PEER_LLM": LANGUAGE_MODEL,
            "PEER_PROMPT": settings.llm.system_prompt,
            "PEER_TEMPERATURE": str(settings.llm.temperature),
            "PEER_TOKENS": str(settings.llm.max_tokens),
            "OMP_NUM_THREADS": str(settings.stt.threads),
            **cuda_libraries(),
        }
        command = [str(PIPECAT.python), "-m", "benchmarks.peers.pipecat_bot", "-t", "webrtc"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        here = f"http://127.0.0.1:{port}"
        with running(command, f"{here}/openapi.json", setup.logs / PIPECAT_LOG, environment):
            yield lambda: Caller(f"{here}/api", channel=False)


def heard_by_pipecat(events: Sequence[Event], log: str) -> str:
    """A line for each piece of speech between two pauses."""
    return " ".join(re.findall(r"whisper\.stt:.* - Transcription: \[(.*)\]$", log, re.MULTILINE))


@contextlib.contextmanager
def speech_to_speech(setup: Setup) -> Iterator[MakeCaller]:
    """`speech-to-speech serve`, its voice behind `piper_speech.py`."""
    settings, store, port, voice_port = setup.settings, ModelStore(), free_port(), free_port()
    voice = store.path(settings.tts.model)
    environment = {
        "NLTK_DATA": str(SPEECH_TO_SPEECH.folder / "nltk_data"),
        "TORCH_HOME": str(SPEECH_TO_SPEECH.folder / "torch"),
        "SPEECH_TO_SPEECH_ICE_SERVERS": "[]",
        "OMP_NUM_THREADS": str(settings.stt.threads),
        **OFFLINE,
        **cuda_libraries(),
    }
    speaking = [str(SPEECH_TO_SPEECH.python), "-m", "benchmarks.peers.piper_speech", str(voice)]
    speaking += [str(voice_port), str(settings.tts.threads)]
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(language_model(settings, setup.logs))
        ready = f"http://127.0.0.1:{voice_port}/openapi.json"
        stack.enter_context(running(speaking, ready, setup.logs / "piper.log", environment))
        flags = {
            "host": "127.0.0.1",
            "port": port,
            "stt": "faster-whisper",
            "faster_whisper_stt_model_name": store.path(settings.stt.model),
            "faster_whisper_stt_device": settings.stt.device,
            "faster_whisper_stt_compute_type": settings.stt.compute_type,
            "faster_whisper_stt_gen_language": settings.stt.language,
            "smart_turn_model_path": store.path(settings.turn.model),
            "llm_backend": "chat-completions",
            "model_name": LANGUAGE_MODEL,
            "responses_api_base_url": url,
            "responses_api_api_key": "none",
            "init_chat_prompt": settings.llm.system_prompt,
            "stream_batch_sentences": 1,
            "tts": "openai",
            "openai_tts_base_url": f"http://127.0.0.1:{voice_port}/v1",
            "openai_tts_model": "piper",
            "openai_tts_voice": voice.stem,
            "openai_tts_sample_rate": 16000,
        }
        command = [str(SPEECH_TO_SPEECH.folder / "bin" / "speech-to-speech"), "serve"]
        command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        # They are for the eye, made by whole passes of Whisper that the final one would wait for.
        command += ["--no_enable_live_transcription", "--log_transcripts"]
        here = f"http://127.0.0.1:{port}"
        log = setup.logs / SPEECH_TO_SPEECH_LOG
        stack.enter_context(running(command, f"{here}/openapi.json", log, environment))
        yield lambda: SdpCaller(f"{here}/v1/realtime/calls", channel=False)


def heard_by_speech_to_speech(events: Sequence[Event], log: str) -> str:
    """A turn that goes on is transcribed anew, from its beginning; a line before tells which turn it is."""
    turn, turns = "", {}
    for line in log.splitlines():
        if ended := re.search(r"Speech soft-ended \(.* turn=(\S+) ", line):
            turn = ended[1]
        elif words := re.search(r"Transcription completed(?: \(language=\S+\))?: (.*)", line):
            turns[turn] = words[1]
    return " ".join(turns.values())


def heard_by_ours(events: Sequence[Event], log: str) -> str:
    """Its log holds no words."""
    return captioned(events)


SYSTEMS = {
    "local-voice": System(
        ours,
        None,
        OUR_LOG,
        heard_by_ours,
        "all in one command, vLLM in it, with its int8 product for AMX where the CPU has VNNI; Whisper "
        "with beams only where it is unsure, in a window little longer than the turn",
    ),
    "local-voice, vLLM's server": System(
        ours_behind_a_url,
        None,
        OUR_LOG,
        heard_by_ours,
        "the model where the peers have it, as vLLM comes; Whisper as in `local-voice`",
    ),
    "Pipecat": System(
        pipecat,
        PIPECAT,
        PIPECAT_LOG,
        heard_by_pipecat,
        "its own copies of Silero and Smart Turn v3.2; Whisper as its service calls it, with "
        "faster-whisper's defaults: 5 beams, a window of 30 s",
    ),
    "speech-to-speech": System(
        speech_to_speech,
        SPEECH_TO_SPEECH,
        SPEECH_TO_SPEECH_LOG,
        heard_by_speech_to_speech,
        "Whisper greedy, its default, in a window of 30 s; Piper behind HTTP and at 16 kHz; Silero from its "
        "package instead of GitHub",
    ),
}
