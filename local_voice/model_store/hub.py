"""Model files from a hub, over HTTP: which files a commit has, their checksums, and their bytes.

A download goes on where it stopped, and a file gets its name only when its checksum is right. This room must
not know what the files are for.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from local_voice.model_store.catalogue import HubFile, HubSource
from local_voice.model_store.files import (
    Progress,
    PullError,
    UnavailableError,
    git_sha1_of,
    keep,
    sha256_of,
)

DEFAULT_HUB = "https://huggingface.co"
REACH_SECONDS = 4.0
"""A hub that has not taken a connection by then is taken for unreachable."""
ANSWER_SECONDS = 5.0
"""Longest wait for its list of files."""
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each new try of a download that broke off; the count starts again when bytes came."""

SAFE_FILES = re.compile(
    r"(?!consolidated)[\w.-]+\.safetensors|[\w.-]+\.safetensors\.index\.json|(generation_|tokenizer_|preprocessor_)?"
    r"config\.json|(tokenizer|vocab|vocabulary|added_tokens|special_tokens_map|chat_template)\.json|"
    r"merges\.txt|vocabulary\.txt|tokenizer\.model|chat_template\.jinja"
)
"""What may be taken from a repository that the catalogue does not list."""


@dataclass(frozen=True)
class Wanted:
    """One file of a commit and how to know it."""

    path: str
    at: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


class Hub:
    """A client of one hub. Not for several threads at once."""

    def __init__(self, address: str | None = None, *, pauses: Sequence[float] = PAUSES) -> None:
        self.address = (address or os.environ.get("HF_ENDPOINT") or DEFAULT_HUB).rstrip("/")
        self._pauses = pauses
        self._unreachable = ""
        token = os.environ.get("HF_TOKEN")
        headers = {"User-Agent": "local-voice"} | ({"Authorization": f"Bearer {token}"} if token else {})

        def client(*, proxies: bool) -> httpx.Client:
            return httpx.Client(
                timeout=httpx.Timeout(30.0, connect=REACH_SECONDS),
                follow_redirects=True,
                headers=headers,
                trust_env=proxies,
            )

        try:
            self._client = client(proxies=True)
        except (ImportError, ValueError) as error:  # SOCKS; nobody's proxy is gone round
            self._client = client(proxies=False)
            self._unreachable = (
                f"{self.address} can't be reached: a proxy of the environment can't be used ({error}); set "
                "HTTPS_PROXY to one of HTTP and unset ALL_PROXY"
            )

    def close(self) -> None:
        self._client.close()

    def plan(self, source: HubSource, revision: str) -> tuple[str, list[Wanted]]:
        """The commit that `revision` names and what to fetch from it. Raises `PullError`."""
        data = self._repository(source.repo, revision)
        try:
            commit = str(data["sha"])
            offered = {str(item["rfilename"]): item for item in data["siblings"]}
            files = source.files or _choose(source.repo, sorted(offered))
            return commit, [_wanted(source.repo, file, offered.get(file.at or file.path)) for file in files]
        except (KeyError, TypeError) as error:
            raise UnavailableError(f"{self.address} gave an answer that can't be understood") from error

    def fetch(self, repo: str, commit: str, wanted: Wanted, folder: Path, progress: Progress) -> str:
        """Bring one file into `folder` and return its sha256; a half that is there is completed.

        Raises `UnavailableError` when the hub stops answering, `PullError` when the bytes are wrong.
        """
        final = folder / wanted.path
        partial = final.with_name(final.name + ".part")
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_file() and not _wrong(final, wanted):
            return wanted.sha256 or sha256_of(final)
        resumed = partial.is_file() and partial.stat().st_size > 0
        self._download(repo, commit, wanted, partial, progress)
        wrong = _wrong(partial, wanted)
        if wrong and resumed:  # after a power cut the old half may hold garbage: once more, all of it
            partial.unlink()
            self._download(repo, commit, wanted, partial, progress)
            wrong = _wrong(partial, wanted)
        if wrong:
            partial.unlink()
            raise PullError(f"{wanted.path} from {self.address}/{repo} is refused: {wrong}.")
        keep(partial, final)
        return wanted.sha256 or sha256_of(final)

    def _download(self, repo: str, commit: str, wanted: Wanted, partial: Path, progress: Progress) -> None:
        url = f"{self.address}/{repo}/resolve/{commit}/{quote(wanted.at)}"
        failures = 0
        while True:
            before = partial.stat().st_size if partial.is_file() else 0
            if before == wanted.size and before:
                return
            try:
                self._read(url, wanted, partial, progress)
                if partial.stat().st_size >= wanted.size:
                    return
                reason = "the connection was cut"
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            came = partial.stat().st_size if partial.is_file() else 0
            failures = 0 if came > before else failures
            if failures == len(self._pauses):
                raise UnavailableError(f"{self.address} stopped answering ({reason})")
            time.sleep(self._pauses[failures])
            failures += 1

    def _read(self, url: str, wanted: Wanted, partial: Path, progress: Progress) -> None:
        """Append what the hub sends to `partial`, from where it ends."""
        have = partial.stat().st_size if partial.is_file() else 0
        if have > wanted.size:
            partial.unlink()
            have = 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self._client.stream("GET", url, headers=headers) as answer:
            _refusal(answer, self.address)
            answer.raise_for_status()
            if answer.status_code != 206:
                have = 0  # the hub sends the whole file
            with partial.open("ab" if have else "wb") as file:
                for block in answer.iter_raw():
                    have += len(block)
                    if have > wanted.size:
                        raise PullError(
                            f"{wanted.path} from {self.address} is refused: it is longer than it should be."
                        )
                    file.write(block)
                    progress.step(wanted.path, have, wanted.size)

    def _repository(self, repo: str, revision: str) -> Any:
        """What the hub says about a commit. Fails after `REACH_SECONDS` where no connection is taken."""
        if self._unreachable:
            raise UnavailableError(self._unreachable)
        url = f"{self.address}/api/models/{repo}/revision/{quote(revision, safe='')}"
        connected, done = threading.Event(), threading.Event()
        result: list[Any] = []

        def trace(event: str, info: Any) -> None:
            if event == "http11.send_request_headers.started":  # the connection stands, encryption and all
                connected.set()

        def ask() -> None:
            try:
                result.append(self._client.get(url, params={"blobs": "true"}, extensions={"trace": trace}))
            except Exception as error:  # carried to the thread that asked
                result.append(error)
            connected.set()
            done.set()

        # A thread, because looking up a name can block for longer than any timeout of ours.
        threading.Thread(target=ask, name="hub", daemon=True).start()
        if not connected.wait(REACH_SECONDS) or not done.wait(ANSWER_SECONDS):
            self._unreachable = f"{self.address} can't be reached (it does not answer)"
            raise UnavailableError(self._unreachable)
        answer = result[0]
        if isinstance(answer, httpx.HTTPError):
            self._unreachable = f"{self.address} can't be reached ({answer or type(answer).__name__})"
            raise UnavailableError(self._unreachable) from answer
        if not isinstance(answer, httpx.Response):
            raise answer
        _refusal(answer, f"{repo} at {revision}")
        if answer.status_code != 200:
            raise UnavailableError(f"{self.address} answered {answer.status_code} for {repo}")
        try:
            return answer.json()
        except ValueError as error:
            raise UnavailableError(f"{self.address} gave an answer that can't be understood") from error


def _refusal(answer: httpx.Response, what: str) -> None:
    """Turn the answers that no retry mends into sentences."""
    if answer.status_code in (401, 403):
        raise UnavailableError(
            f"the hub gives {what} only to people it knows: accept its licence there and set HF_TOKEN"
        )
    if answer.status_code == 404:
        raise UnavailableError(f"the hub does not have {what}: check the name")


def _choose(repo: str, names: list[str]) -> tuple[HubFile, ...]:
    """Weights that can't run code, their configuration and tokenizer; nothing else."""
    chosen = [name for name in names if SAFE_FILES.fullmatch(name)]
    if not any(name.endswith(".safetensors") for name in chosen):
        # A CTranslate2 Whisper model, by the vocabulary that only those have beside a model.bin.
        if "model.bin" not in names or not {"vocabulary.txt", "vocabulary.json"} & set(names):
            raise PullError(f"{repo} has no safetensors weights; choose another model.")
        chosen.append("model.bin")
    return tuple(HubFile(path=name) for name in chosen)


def _wanted(repo: str, file: HubFile, offered: Any) -> Wanted:
    """Join what the catalogue and the hub know about a file."""
    if offered is None:
        raise UnavailableError(f"{repo} has no file {file.at or file.path}")
    lfs = offered.get("lfs") or {}
    size = int(lfs.get("size") or offered.get("size") or 0)
    sha256, git_sha1 = str(lfs.get("sha256") or ""), str(offered.get("blobId") or "")
    if not sha256 and not git_sha1 and not file.sha256:
        raise PullError(f"The hub gives no checksum for {file.path} of {repo}; choose another model.")
    if (file.sha256 and sha256 and sha256 != file.sha256) or (file.size and size != file.size):
        raise PullError(
            f"{file.path} of {repo} is refused: the hub describes another file than the catalogue does."
        )
    # For a large file the hub's blobId is that of a pointer, not of the contents.
    return Wanted(file.path, file.at or file.path, size, file.sha256 or sha256, "" if lfs else git_sha1)


def _wrong(path: Path, wanted: Wanted) -> str:
    """What is wrong with a file; empty when nothing is."""
    if path.stat().st_size != wanted.size:
        return f"it has {path.stat().st_size} bytes instead of {wanted.size}"
    if wanted.sha256 and sha256_of(path) != wanted.sha256:
        return "its sha256 is wrong"
    if wanted.git_sha1 and git_sha1_of(path) != wanted.git_sha1:
        return "its checksum is wrong"
    return ""
