"""The command line: reads the settings, opens the right door, and turns every known error into one sentence.

Heavy libraries are imported inside the commands that need them, after the network has been switched off.
Exit codes: 0 all went well, 1 something is wrong (said in a sentence), 2 the command was not understood,
130 Ctrl-C, 143 asked to stop by the system.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import local_voice
from local_voice import terminal
from local_voice.audio import AudioFileError, read_wav
from local_voice.checkup import examine_server
from local_voice.doctor import examine, model_names, worst
from local_voice.flags import Context, setting_flags
from local_voice.printable import printable
from local_voice.settings import Settings
from local_voice.signals import Stopped, run
from local_voice.stages import StageError, StartupError
from local_voice.terminal import StartProgress

if TYPE_CHECKING:
    from local_voice.ask import Answer
    from local_voice.assistant import Assistant
    from local_voice.model_store import ModelStore

KNOWN = (StartupError, StageError, AudioFileError)
"""Errors whose message is a sentence for the user."""
PATH = click.Path(path_type=Path)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every setting is a flag too, such as --stt.model whisper-base or --llm.temperature 0.5, before "
    "or after the command; `local-voice settings` lists them.",
)
@click.option("--config", type=PATH, help="Settings file; else ./local-voice.toml, else the user's own.")
@click.option("--trace", type=PATH, help="Write every event and command of a conversation to this file.")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what happens.")
@click.option("--log-json", is_flag=True, help="Write the log as one JSON object a line.")
@click.version_option(local_voice.__version__)
@click.pass_context
def app(
    context: click.Context, config: Path | None, trace: Path | None, verbose: bool, log_json: bool
) -> None:
    """A private voice assistant on this machine."""
    terminal.set_up_logging(verbose, as_json=log_json)
    context.obj = Context(config, trace, context.ensure_object(dict))
    if trace is not None:
        _require_writable(trace)
    if context.invoked_subcommand != "models":
        _go_offline()


setting_flags(app)


@app.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", help="Port to listen on.")
@click.option("--tls", help="`self-signed`: encrypt, with a certificate made here.")
@click.option("--tls-cert", help="Encrypt, with this certificate (PEM).")
@click.option("--tls-key", help="The certificate's key (PEM).")
@click.pass_obj
def serve(context: Context, /, **given: str | None) -> None:
    """Serve the page to browsers.

    Other machines need TLS to be let in, and the token that is shown at the start.
    """
    context.add({f"server.{name}": text for name, text in given.items()})
    from local_voice.serving import serve as serve_browsers

    run(serve_browsers(lambda: context.settings, context.trace))


@app.command()
@click.option("--input-device", help="Microphone, by number or part of its name.")
@click.option("--output-device", help="Loudspeaker, by number or part of its name.")
@click.pass_obj
def talk(context: Context, input_device: str | None, output_device: str | None) -> None:
    """Talk by microphone and loudspeaker."""
    context.add({"audio.input_device": input_device, "audio.output_device": output_device})
    run(_talk(context.settings, context.trace))


async def _talk(settings: Settings, trace: Path | None) -> None:
    from local_voice.captions import Captions
    from local_voice.engines.echo_canceller import EchoCanceller
    from local_voice.keys import HINTS, Keys
    from local_voice.transports.microphone import Microphone
    from local_voice.transports.sound_card import choose, list_devices

    found = list_devices()  # a missing microphone is said now, and not after half a minute of loading
    choose(found, "input", settings.audio.input_device)
    choose(found, "output", settings.audio.output_device)
    captions = Captions(terminal.out)
    microphone = Microphone(settings.audio, EchoCanceller, show=captions.show)
    with StartProgress() as progress:
        async with _assistant(settings, progress) as assistant, microphone:
            progress.finish()
            mode = settings.turn.mode
            terminal.err.print(f"Ready. {HINTS[mode]}")
            keys = Keys(lambda key: microphone.on_control(key), talk_key=mode == "push_to_talk")
            with captions, keys:
                await assistant.converse(microphone, trace=trace)
    if microphone.failure:
        raise StartupError(microphone.failure)


@app.command()
@click.argument("questions", nargs=-1, required=True, type=PATH, metavar="QUESTION.wav...")
@click.option("--out", type=PATH, help="Write the questions (left) and the replies (right) to this WAV.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def ask(context: Context, questions: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Ask the questions in WAV files.

    They are one conversation. Exit code 1 when one of them got no answer.
    """
    settings = context.settings
    for question in questions:
        read_wav(question)  # said now, and not after half a minute of loading
    if out is not None:
        _require_writable(out)
    answers = run(_ask(settings, questions, out, context.trace))
    _print_answers(answers, as_json)
    if not all(answer.ok for answer in answers):
        raise click.exceptions.Exit(1)


async def _ask(
    settings: Settings, questions: Sequence[Path], out: Path | None, trace: Path | None
) -> list[Answer]:
    from local_voice.ask import ask as ask_files

    with StartProgress() as progress:
        async with _assistant(settings, progress) as assistant:
            progress.finish()
            return await ask_files(assistant, questions, out=out, trace=trace)


def _print_answers(answers: Sequence[Answer], as_json: bool) -> None:
    if as_json:
        plain = [{**asdict(answer), "question": str(answer.question), "ok": answer.ok} for answer in answers]
        whole = {"answers": plain, "ok": all(answer.ok for answer in answers)}
        click.echo(printable(json.dumps(whole, ensure_ascii=False)))
        return
    for answer in answers:
        click.echo(f"{answer.question}")
        click.echo(f"  heard:    {printable(answer.heard) or '(nothing)'}")
        click.echo(f"  answered: {printable(answer.answered) or '(nothing)'}")
        if answer.seconds:
            in_order = sorted(answer.seconds.items(), key=lambda mark: mark[1])
            marks = ", ".join(f"{mark} {seconds:.2f} s" for mark, seconds in in_order)
            click.echo(f"  times:    {marks}")
        if answer.problem:
            click.echo(f"  problem:  {answer.problem}")


@app.command("settings")
@click.pass_obj
def show_settings(context: Context) -> None:
    """Print all settings and where they came from."""
    loaded = context.load()
    terminal.show_settings(loaded.settings, loaded.origins)


@app.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--url", help="Ask the server there instead, and let it answer a question.")
@click.pass_obj
def doctor(context: Context, as_json: bool, url: str | None) -> None:
    """Say what is wrong here and how to mend it.

    Exit code 1 when something is bad: a start would fail, or the server at URL holds no conversation.
    """
    server = context.settings.server
    findings = examine_server(url, server.token) if url else examine(context.settings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        terminal.show_findings(findings)
    if worst(findings) == "bad":
        raise click.exceptions.Exit(1)


@app.command()
@click.argument("file", type=PATH)
def replay(file: Path) -> None:
    """Decide again over a --trace FILE.

    Prints where the judgement now decides otherwise, and exits with 1 if it does.
    """
    from local_voice.trace import TraceError
    from local_voice.trace import replay as replay_trace

    try:
        differences = replay_trace(file)
    except TraceError as error:
        raise StartupError(str(error)) from error
    for difference in differences:
        click.echo(difference)
    if differences:
        raise click.exceptions.Exit(1)
    click.echo("The same decisions.")


@app.command("hide-words")
@click.argument("file", type=PATH)
@click.argument("out", type=PATH)
def hide_words(file: Path, out: Path) -> None:
    """Write a --trace FILE again to OUT without what was said, to send it with a bug report.

    Times and decisions stay; words become others, except those that decide whose turn it is.
    """
    from local_voice.trace import TraceError
    from local_voice.trace import hide_words as write_hidden

    if out.exists():
        raise StartupError(f"{out} exists already: give another name")
    _require_writable(out)
    try:
        differences = write_hidden(file, out)
    except TraceError as error:
        raise StartupError(str(error)) from error
    for difference in differences:
        click.echo(difference)
    same = "the decisions are the same" if not differences else "these decisions hung on the words"
    click.echo(f"Wrote {out} without what was said; {same}.")


@app.command()
def devices() -> None:
    """List microphones and loudspeakers."""
    from local_voice.transports.microphone import list_devices

    found = list_devices()
    for device in found:
        click.echo(str(device))
    if not found:
        click.echo("No sound devices were found.")


@app.group()
def models() -> None:
    """The models: list, pull, verify."""


@models.command("list")
def list_models() -> None:
    """What there is, and what is installed."""
    _go_offline()
    from local_voice.model_store import ModelStore, weights_root

    terminal.show_models(ModelStore().list())
    click.echo(f"\nWeights live in {weights_root()}.")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def pull(context: Context, names: tuple[str, ...]) -> None:
    """Fetch models: those named, else what is missing.

    The only command that uses the network.
    """
    from local_voice.model_store import ModelStore

    with terminal.PullProgress() as progress:
        store = ModelStore(progress=progress)
        for name in names or wanted_models(context.settings, store):
            store.pull(name)


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Read every byte and compare it with what was pulled."""
    _go_offline()
    from local_voice.model_store import ModelStore

    with terminal.PullProgress() as progress:
        store = ModelStore(progress=progress)
        problems = [problem for name in names or (None,) for problem in store.verify(name)]
    for problem in problems:
        terminal.complain(str(problem))
    if problems:
        raise click.exceptions.Exit(1)
    click.echo("All that is installed is right.")


def wanted_models(settings: Settings, store: ModelStore) -> list[str]:
    """The settings' models that are not usable yet. One whose alternative is here counts as here: a start
    must not go to the network again and again for what could not be had the first time."""
    missing = []
    for name in model_names(settings):
        try:
            store.path(name)
        except StartupError:
            if store.catalogue.find(name) is None:  # a folder of the user's own: nothing to pull
                raise
            missing.append(name)
    return missing


for _command in (serve, talk, ask, show_settings, doctor, pull):
    setting_flags(_command)


def _require_writable(path: Path) -> None:
    """Said now, and not after half a minute of loading or when the conversation is over."""
    folder = path.absolute().parent
    if path.is_dir():
        raise StartupError(f"{path} is a folder; give the name of a file in it.")
    if not folder.is_dir():
        raise StartupError(f"There is no folder {folder} for {path.name}; make it first.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise StartupError(f"{path} can't be written; choose a file in a folder of your own.")


def _assistant(settings: Settings, progress: StartProgress) -> Assistant:
    from local_voice.assistant import Assistant

    return Assistant(settings, progress=progress)


def _go_offline() -> None:
    """Before any library that could think of the network is imported."""
    from local_voice.environment import go_offline

    go_offline()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    try:
        code = app.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="local-voice",
            standalone_mode=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except Stopped as stop:
        return 128 + stop.number
    except BrokenPipeError:  # `local-voice settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        if any(isinstance(cause, KeyboardInterrupt) for cause in _causes(error)):
            return _interrupted()  # a library that was being imported made another error of Ctrl-C
        sentences = _sentences(error)
        if sentences is None:
            raise
        for sentence in sentences:
            terminal.complain(sentence)
        return 1


def _interrupted() -> int:
    terminal.err.print("Stopped.")
    return 130


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sentences(error: BaseException) -> list[str] | None:
    """What to tell the user; None for an error that nobody foresaw, which deserves its traceback."""
    if isinstance(error, BaseExceptionGroup):
        parts = [_sentences(part) for part in error.exceptions]
        known = [sentence for part in parts if part is not None for sentence in part]
        return list(dict.fromkeys(known)) if None not in parts else None
    return [str(error)] if isinstance(error, KNOWN) else None
