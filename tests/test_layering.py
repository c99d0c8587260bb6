"""The floors of DESIGN.md, held by reading the imports of every file."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "local_voice"

FLOORS = (
    {
        "settings",
        "audio",
        "events",
        "transcript",
        "plain_text",
        "spoken_form",
        "roman_numerals",
        "spoken_english",
        "spoken_numbers",
        "speakable",
        "log_mel",
        "prompt_lookup",
        "turn_words",
        "sounds_like",
        "sentences",
        "toml_lines",
        "printable",
    },
    {
        "endpointing",
        "history",
        "conversation",
        "playout",
        "timeline",
        "stages",
        "trace",
        "worker",
        "whisper_windows",
        "whisper_search",
        "word_alignment",
        "barge_in",
        "completeness",
        "echo_guard",
        "hallucinations",
        "wake_phrase",
        "turns",
        "read_ahead",
        "overlap",
        "memory",
    },
    {
        "engines",
        "transports",
        "model_store",
        "convert",
        "environment",
        "gpu_memory",
        "lifeline",
        "model_fit",
        "voice_graph",
        "whisper_graph",
        "ctranslate2_file",
        "onnx_session",
    },
    {"chosen_voice", "hearing", "reply", "session", "shown"},
    {
        "assistant",
        "ask",
        "server",
        "cli",
        "__main__",
        "doctor",
        "settings_sources",
        "flags",
        "terminal",
        "signals",
        "captions",
        "access",
        "admission",
        "canary",
        "certificates",
        "checkup",
        "conversation_log",
        "doorstep",
        "gate",
        "log_lines",
        "loop_lag",
        "memory_back",
        "metrics",
        "queues",
        "rate_limit",
        "recorder",
        "reload",
        "serving",
        "resume",
        "systemd",
        "turn_spans",
        "witnesses",
        "keys",
    },
)

ALONE = ("engines", "transports")
"""Files in these folders never import one another, nor do the two folders."""


def room(name: str) -> str:
    """`local_voice.engines.piper` -> `engines`; `local_voice` itself -> ''."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def floor(name: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if room(name) in rooms]
    assert len(found) == 1, f"{name} has no floor: give it one in FLOORS and in DESIGN.md"
    return found[0]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "local_voice":
                found |= {f"local_voice.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return {name for name in found if name.startswith("local_voice.")}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }


def test_imports_run_downwards_only():
    upwards = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imports(path)
        if floor(target) > floor(name)
    ]
    assert upwards == []


def test_engines_and_transports_never_import_one_another():
    across = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imports(path)
        if room(name) in ALONE and room(target) in ALONE and not same_family(name, target)
    ]
    assert across == []


def same_family(name: str, target: str) -> bool:
    """A transport may be split into several files; two engines or two transports may not meet."""
    return (name.split(".")[-1], target.split(".")[-1]) in {
        *(("webrtc", part) for part in ("offer", "ice", "jitter", "messages", "allowance")),
        *(("webrtc", part) for part in ("echo_path", "inside_aiortc", "voice", "far_end")),
        ("inside_aiortc", "jitter"),
        ("voice", "jitter"),
        ("microphone", "sound_card"),
        ("vllm_engine", "vllm_builder"),
        ("vllm_builder", "inside_vllm"),
    }


def test_the_judgement_knows_no_clock_no_loop_and_no_model():
    for name in (
        "endpointing",
        "turns",
        "read_ahead",
        "overlap",
        "memory",
        "conversation",
        "history",
        "playout",
        "timeline",
    ):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        found = {alias.name for node in nodes for alias in node.names}
        assert not found & {"asyncio", "time", "datetime", "random"}, name
