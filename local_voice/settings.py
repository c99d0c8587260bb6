"""Every knob of the assistant on one page, typed, with its unit.

Values come from four places; a later one wins: the defaults below (some differ by profile), the TOML
file, the environment (`LOCAL_VOICE_STT__MODEL=...`), the command line (`--stt.model ...`). This room
reads settings and explains where they came from; it must not know what anybody does with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a settings field with the unit that `local-voice settings` prints beside its value."""

    name: str


Seconds = Annotated[float, Field(ge=0), Unit("s")]
Probability = Annotated[float, Field(ge=0, le=1), Unit("0 to 1")]
Tokens = Annotated[int, Field(gt=0), Unit("tokens")]
Count = Annotated[int, Field(ge=0), Unit("count")]
Fraction = Annotated[float, Field(gt=0, le=1), Unit("fraction")]


def _split(given: Any) -> Any:
    """A flag or a variable is one text: commas divide its parts."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Marks a secret: never printed, never written to a trace."""


Secret = Annotated[str, Field(exclude=True, repr=False), Hidden()]

Profile = Literal["cpu", "cuda"]


class Section(BaseModel):
    """A group of settings; unknown names are refused and the string under a field describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_from_a_switch(cls, given: Any, info: ValidationInfo) -> Any:
        """TOML's `true` would quietly become the number 1."""
        if isinstance(given, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("true and false are not numbers")
        return given


class VadSettings(Section):
    """Which 32 ms windows are speech."""

    model: str = "silero-vad-v6"
    """Catalogue name of the Silero VAD ONNX file."""
    start_probability: Probability = 0.5
    """A window at or above this is speech. Silero's own default."""
    overlap_probability: Probability = 0.3
    """The same while the assistant speaks: ducking it harms nothing, and a soft beginning is heard a window
    sooner. 64 ms of voice were found 0.102 s after an interruption began at p95, with 0.5 after 0.129 s; in
    160 s of replies alone, with echo and a fan, neither found a voice (23 interruptions)."""
    stop_probability: Probability = 0.35
    """Speech goes on until a window falls below this (hysteresis; Silero's default: start - 0.15)."""


class TurnSettings(Section):
    """When a turn starts, pauses and ends. All silence is counted in seconds of audio."""

    model: str = "smart-turn-v3.2"
    """Catalogue name of the Smart Turn ONNX file."""
    mode: Literal["full_duplex", "half_duplex", "push_to_talk"] = "full_duplex"
    """Listen while speaking, or not, or only while the talk key is held."""
    start_seconds: Seconds = 0.096
    """Speech needed before a turn opens while the assistant is silent."""
    duck_seconds: Seconds = 0.064
    """Speech under a reply that lowers its voice; in its first `yield_seconds` it pauses at once."""
    interrupt_seconds: Seconds = 0.192
    """Speech under a reply that pauses it, until the words are known."""
    resume_seconds: Seconds = 0.6
    """Silence without words after which a paused reply goes on."""
    background_db: Annotated[float, Field(gt=0), Unit("dB")] = 9.0
    """Speech under a reply that is this much softer than the user's own is somebody else's: a television."""
    echo_grace_seconds: Seconds = 3.0
    """The first reply may be interrupted by words alone for this long, while an echo canceller adapts."""
    pre_roll_seconds: Seconds = 0.5
    """Audio kept from before the detected start, so that a soft first sound is not lost."""
    pause_seconds: Seconds = 0.064
    """Silence after which the final transcript is begun and a draft reply prepared; half of it is enough
    where the sound was soft before. Half of it everywhere would be as good a sign (212 pauses instead of 210
    in 710 s), but cuts the last sound: 12 of 125 turns were read otherwise than with 0.2 s more of it, with
    0.064 6."""
    predict_seconds: Seconds = 0.16
    """Silence at which Smart Turn is asked, once a pause (its verdict drifts with longer silence)."""
    confident_seconds: Seconds = 0.224
    """Silence that ends a turn when Smart Turn is at or above `confident_probability`, and the words ask or
    answer."""
    half_sure_seconds: Seconds = 0.384
    """Silence that ends a turn when either the words or Smart Turn are sure, but not both: a statement that
    sounds done may yet be added to, and a whole question may sound unfinished. Never shorter than
    `confident_seconds` nor longer than `likely_seconds`."""
    likely_seconds: Seconds = 0.512
    """Silence that ends a turn when Smart Turn is between the two probabilities, and the words do not ask."""
    doubtful_seconds: Seconds = 1.088
    """Silence that ends a turn whose words are a complete sentence but sound unfinished."""
    unfinished_seconds: Seconds = 1.696
    """Silence that ends a turn that sounds unfinished, or a list without its last item."""
    hold_seconds: Seconds = 2.4
    """Silence that ends a turn whose last word can't be its last, like "the", "to" or "um"."""
    confident_probability: Probability = 0.9
    """Smart Turn at or above this: the user is done."""
    likely_probability: Probability = 0.5
    """Smart Turn at or above this: the user is probably done."""
    yield_seconds: Seconds = 0.5
    """A user who goes on within this time of the reply's first sound had not finished: the turn reopens."""
    partial_seconds: Seconds = 0.5
    """Time between partial transcripts while the user speaks; 0 turns them off."""
    draft_from_partials: bool = False
    """Prepare a reply to a partial transcript that looks complete: sooner by a recogniser's pass, for the
    price of replies that are thrown away. On by default on a GPU."""
    segment_seconds: Seconds = 12.0
    """A pause after this much speech fixes its transcript, so that a long turn is not decoded again."""
    longest_seconds: Seconds = 120.0
    """A turn longer than this is answered at its next pause, however short."""
    wake_phrase: str = ""
    """Words that a turn must begin with, such as "computer"; empty listens to every turn."""
    follow_up_seconds: Seconds = 8.0
    """After a reply the wake phrase is not needed for this long."""
    idle_seconds: Seconds = 0.0
    """Silence after which the assistant asks, once, whether the user is still there; 0 never."""


class SttSettings(Section):
    """Speech to text: faster-whisper on CTranslate2."""

    model: str = "whisper-base"
    """Catalogue name, or a folder with a CTranslate2 Whisper model. Of people's
    words, in quiet, noise and on the telephone, base mishears 5.6 %, tiny.en 10.4 %, which is some 0.06 s
    quicker (benchmarks/bench_stt.py)."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs."""
    compute_type: str = "int8"
    """CTranslate2's arithmetic: int8 on a CPU, for the packed decoder too; float16 on a GPU."""
    threads: Count = 2
    """CPU threads for one decode."""
    language: str = "en"
    """Language code of the speech, or `auto` to detect it (multilingual models only)."""
    hotwords: str = ""
    """Names and words to expect, separated by spaces. With them, as with a wake phrase, a CPU takes about
    0.1 s more for a transcript."""
    deadline_seconds: Seconds = 15.0
    """A final transcript that takes longer than this and the length of its sound has failed."""


class LlmSettings(Section):
    """The language model: vLLM in this program, or any OpenAI-compatible server."""

    model: str = "qwen2.5-0.5b-instruct"
    """Catalogue name, hub repository OWNER/NAME, or folder with safetensors weights and a chat template."""
    url: str = ""
    """Base URL of an OpenAI-compatible server, such as http://gpu2:8000/v1; empty runs vLLM here."""
    remote_model: str = ""
    """Model name to ask that server for; empty takes the first one it lists."""
    api_key: Secret = ""
    """Bearer token for that server, if it wants one."""
    system_prompt: str = (
        "You are a friendly voice assistant talking with a person. Reply in plain spoken English with one "
        "short sentence, or two at most. Say the answer first. Never use lists, markdown, code, emoji or "
        "links. If you are not sure or did not understand, say so."
    )
    """What the model is told before the conversation. With Qwen's template this one fills its cache blocks to
    the token, so that a first turn computes only its own words."""
    temperature: Annotated[float, Field(ge=0, le=2), Unit("0 to 2")] = 0.3
    """Sampling temperature; 0 always takes the likeliest token."""
    max_tokens: Tokens = 220
    """Longest reply."""
    context_tokens: Tokens = 4096
    """Longest prompt and reply together; older messages are dropped from the prompt first."""
    first_token_seconds: Seconds = 20.0
    """A reply whose first token takes longer has failed."""
    stall_seconds: Seconds = 10.0
    """A reply that pauses longer between two tokens has failed."""
    gpu_memory_fraction: Fraction = 0.5
    """Share of the GPU's memory that must be free where vLLM starts. It takes the weights, the cache and
    about 2 GiB; Whisper needs about 2.5 GiB beside it."""
    kv_cache_gib: Annotated[float, Field(gt=0), Unit("GiB")] = 0.5
    """Memory for the key-value cache."""
    block_size: Tokens = 16
    """Key-value block, a multiple of 16. On a GPU a prompt's beginning is reused in whole blocks, so small is
    soon. On ARM, and on a CPU with AMX, rounded up to a multiple of 32: vLLM's attention wants it there."""
    prompt_lookup: bool = True
    """Guess what a reply takes up from its question, and check three words for the price of one; what is
    written stays the model's own. Without a GPU only."""
    max_concurrent: Annotated[int, Field(gt=0), Unit("count")] = 8
    """Replies written at the same time."""
    eager: bool = True
    """Run without compiled graphs: starts in seconds; off by default on a GPU, where graphs pay."""
    threads: str = "auto"
    """CPU cores for the model, such as 0-3, or `auto`: one thread a core, one core left for everything else.
    Threads on cores that others use wait for each other: on 2 cores at work, 1.7 tokens/s with 0-1, 21 with
    `auto`."""
    canary_seconds: Seconds = 30.0
    """How often an idle engine is asked for one token to prove that it lives; 0 never."""

    @field_validator("threads")
    @classmethod
    def _check_threads(cls, threads: str) -> str:
        if threads != "auto" and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", threads):
            raise ValueError("cores such as 0-3 or 0,2, or auto")
        return threads


class TtsSettings(Section):
    """Text to speech: Piper."""

    model: str = "piper-en_US-joe-medium"
    """Catalogue name, or the path of a Piper voice's .onnx file with its .onnx.json beside it."""
    threads: Count = 2
    """CPU threads for one clause."""
    speed: Annotated[float, Field(ge=0.5, le=2.0), Unit("times")] = 1.0
    """Speaking rate; 1.2 is a fifth faster."""
    clause_pause_seconds: Seconds = 0.1
    """Silence after a clause that ends in a comma or a dash."""
    sentence_pause_seconds: Seconds = 0.22
    """Silence after a sentence."""
    deadline_seconds: Seconds = 15.0
    """A clause whose sound takes longer has failed."""


class AudioSettings(Section):
    """The microphone and loudspeaker of `local-voice talk`."""

    input_device: str = ""
    """Microphone by number or part of its name; empty is the system's default."""
    output_device: str = ""
    """Loudspeaker by number or part of its name; empty is the system's default."""
    echo_cancellation: bool = True
    """Subtract the assistant's own voice from the microphone."""


class RecordingSettings(Section):
    """What `serve` keeps of conversations: their sound and their words."""

    folder: str = ""
    """Folder for a WAV and a trace of each conversation; empty keeps nothing. The page shows it. Where it is
    emptied later, what has been recorded stays: nobody deletes it but you."""
    max_age_days: Annotated[float, Field(gt=0), Unit("days")] = 30.0
    """What is older is deleted."""
    max_gib: Annotated[float, Field(gt=0), Unit("GiB")] = 5.0
    """With more than this in the folder the oldest are deleted; a minute of conversation takes 5.8 MB."""
    free_gib: Annotated[float, Field(ge=0), Unit("GiB")] = 1.0
    """With less than this free on the disk nothing more is recorded; conversations go on."""


class ServerSettings(Section):
    """The web page and its WebRTC endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but this machine needs TLS, and a token from everybody who comes in."""
    port: Annotated[int, Field(ge=0, le=65535), Unit("TCP port")] = 8765
    """Port to listen on; 0 takes a free one."""
    max_sessions: Annotated[int, Field(gt=0), Unit("count")] = 4
    """Conversations at once; one more is refused with 503."""
    tls: Literal["off", "self-signed"] = "off"
    """`self-signed`: encrypt with a certificate that is made at the first start and kept."""
    tls_cert: str = ""
    """File with a certificate of your own, and those that vouch for it, in PEM form."""
    tls_key: str = ""
    """File with its key in PEM form, without a password."""
    insecure: bool = False
    """Listen for others without TLS, since a reverse proxy in front does it. Microphones need HTTPS."""
    token: Secret = ""
    """What opens the door, from the environment or the settings file; empty makes one at each start where one
    is needed. Set, it is demanded on this machine too."""
    token_file: str = ""
    """A file that holds the token instead."""
    allowed_hosts: Texts = ()
    """More names under which browsers find this machine, such as voice.example; they mean a token."""
    allowed_origins: Texts = ()
    """Other sites whose pages may talk here, such as https://intranet.example; each call needs a pass."""
    proxies: Texts = ()
    """Addresses of reverse proxies whose word on who asks (X-Forwarded-For) is believed."""
    requests_per_minute: Count = 600
    """What one address may ask for; a call costs ten requests, a wrong token sixty. At least 30; 0 sets no
    limit."""
    busy_lag_seconds: Seconds = 0.25
    """With the program late by this much for seconds on end, new conversations are refused with 503."""
    busy_jobs: Annotated[float, Field(gt=0), Unit("jobs")] = 3.0
    """With more jobs than this waiting for an engine for seconds on end, new conversations are refused too.
    On 2 cores the recogniser takes 0.1 to 0.2 s for each: three that wait delay every answer by half a
    second."""
    drain_seconds: Seconds = 20.0
    """When asked to stop, replies in progress may go on for this long."""
    log_conversations: bool = False
    """Write to the log what was said."""
    otel_endpoint: str = ""
    """OpenTelemetry collector that gets the times of each turn, without a word of it, over OTLP and HTTP,
    such as http://localhost:4318; empty sends nothing. Needs the extra `otel`."""
    ice_servers: Texts = ()
    """STUN or TURN URLs; none by default, so that nothing outside is contacted."""
    turn_secret: Secret = ""
    """The TURN server's `static-auth-secret`: every call gets a password of its own, good for 12 hours."""
    turn_user: str = ""
    """Name at a TURN server that has no such secret."""
    turn_password: Secret = ""
    """Its password, which every browser that talks is given."""
    relay_only: bool = False
    """Sound goes through the TURN server alone, also where there is a direct way."""
    echo_cancellation: bool = True
    """Subtract the assistant's own voice from the sound of a client that doesn't say it does so itself."""

    @field_validator("requests_per_minute")
    @classmethod
    def _enough_for_a_call(cls, given: int) -> int:
        """Half of it may come at once: a page with its files and its token takes 12, a call 10."""
        if 0 < given < 30:
            raise ValueError("fewer than 30 would let nobody in; 0 sets no limit")
        return given


class Settings(BaseSettings):
    """All settings. `profile` decides the defaults of the groups below.

    Made by itself it holds the defaults and what it is given; `settings_sources.load` reads the places.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, case_sensitive=True, enable_decoding=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    profile: Profile = "cpu"
    """`cuda` on a machine with an NVIDIA GPU, else `cpu`; detected unless it is set."""
    vad: VadSettings = VadSettings()
    turn: TurnSettings = TurnSettings()
    stt: SttSettings = SttSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    audio: AudioSettings = AudioSettings()
    recording: RecordingSettings = RecordingSettings()
    server: ServerSettings = ServerSettings()
