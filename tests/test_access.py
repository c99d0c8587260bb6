"""Who may come in: names, pages, tokens and cookies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.access import (
    COOKIE_SECONDS,
    Lock,
    client_address,
    find_token,
    host_allowed,
    is_local,
    origin_allowed,
    require_protection,
)
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

TOKEN = "0123456789abcdef0123"
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.7", False),
        ("box.lan", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_loopback_is_local(host, local):
    assert is_local(host) is local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "box.lan"])
def test_listening_for_others_without_tls_is_refused_with_what_to_do(host):
    with pytest.raises(StartupError, match=r"--tls self-signed, or --tls-cert .* --server\.insecure true"):
        require_protection(ServerSettings(host=host))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "localhost"},
        {"host": "0.0.0.0", "tls": "self-signed"},
        {"host": "0.0.0.0", "tls_cert": "a.pem", "tls_key": "b.pem"},
        {"host": "0.0.0.0", "insecure": True},
    ],
)
def test_this_machine_tls_and_a_proxy_s_tls_are_enough(given):
    require_protection(ServerSettings(**given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_cert": "a.pem"}, "both files"),
        ({"tls_key": "b.pem"}, "both files"),
        ({"tls_cert": "a.pem", "tls_key": "b.pem", "tls": "self-signed"}, "leave --tls self-signed out"),
    ],
)
def test_half_a_certificate_is_said(given, says):
    with pytest.raises(StartupError, match=says):
        require_protection(ServerSettings(**given))


def test_a_token_is_made_where_others_may_come_and_is_another_one_each_time():
    assert find_token(ServerSettings()) == ("", False)
    first, made = find_token(ServerSettings(host="0.0.0.0", insecure=True))
    assert made
    assert len(first) == 43
    assert find_token(ServerSettings(host="0.0.0.0"))[0] != first
    assert find_token(ServerSettings(allowed_hosts=("voice.example",)))[1], "a name is for others"


def test_a_token_of_the_user_s_own_is_taken_also_on_this_machine(tmp_path):
    assert find_token(ServerSettings(token=TOKEN)) == (TOKEN, False)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert find_token(ServerSettings(token_file=str(file))) == (TOKEN, False)


@pytest.mark.parametrize(
    "token", ["short", "x" * 513, "with space 0123456", "0123456789abcdé0", "0123456789\x07bcdef"]
)
def test_a_token_that_will_not_do_is_refused_without_showing_it(token):
    with pytest.raises(StartupError, match=r"^Server\.token has to be 16 to 512 ASCII characters") as refused:
        find_token(ServerSettings(token=token))
    assert token not in str(refused.value)


def test_a_missing_empty_or_second_token_is_said(tmp_path):
    with pytest.raises(StartupError, match=r"can't be read from .*gone \(No such file"):
        find_token(ServerSettings(token_file=str(tmp_path / "gone")))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(StartupError, match="has to be 16"):
        find_token(ServerSettings(token_file=str(tmp_path / "empty")))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(StartupError, match="it is not text"):
        find_token(ServerSettings(token_file=str(tmp_path / "bytes")))
    with pytest.raises(StartupError, match="two tokens"):
        find_token(ServerSettings(token=TOKEN, token_file="x"))


def test_secrets_are_in_no_dump_and_no_repr():
    settings = ServerSettings(token=TOKEN)
    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings.model_dump())
    assert TOKEN not in settings.model_dump_json()


def test_only_the_token_opens():
    lock = Lock(TOKEN)
    assert lock.opens(TOKEN)
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 20, "\ud800", "x" * 100_000):
        assert not lock.opens(wrong)


def test_a_cookie_opens_until_its_time_is_over_and_only_ours_does():
    lock = Lock(TOKEN)
    cookie = lock.cookie(NOW)
    assert lock.accepts(cookie, NOW)
    assert lock.accepts(cookie, NOW + COOKIE_SECONDS - 1)
    assert not lock.accepts(cookie, NOW + COOKIE_SECONDS)
    assert not Lock(TOKEN + "2").accepts(cookie, NOW), "another token's cookie"
    until, _, signature = cookie.partition(".")
    assert not lock.accepts(f"{int(until) + 1}.{signature}", NOW)
    assert not lock.accepts(f"0{until}.{signature}", NOW), "another spelling of the same number"
    assert TOKEN not in cookie


@given(st.text(max_size=80))
def test_no_cookie_is_accepted_by_chance_or_makes_the_lock_fail(cookie):
    assert Lock(TOKEN).accepts(cookie, NOW) is False


@given(st.text(alphabet="0123456789.abcdef²٣", max_size=80))
def test_no_number_in_a_cookie_makes_the_lock_fail(cookie):
    assert Lock(TOKEN).accepts(cookie, NOW) is False


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("10.0.0.9", "", (), "10.0.0.9"),
        ("10.0.0.9", "1.2.3.4", (), "10.0.0.9"),
        ("10.0.0.9", "1.2.3.4", ("10.0.0.9",), "1.2.3.4"),
        ("10.0.0.9", "6.6.6.6, 1.2.3.4", ("10.0.0.9",), "1.2.3.4"),
        ("10.0.0.9", "1.2.3.4, 10.0.0.8", ("10.0.0.9", "10.0.0.8"), "1.2.3.4"),
        ("10.0.0.9", " , ,", ("10.0.0.9",), "10.0.0.9"),
    ],
)
def test_a_forwarded_address_is_believed_only_from_our_own_proxy(peer, forwarded, proxies, address):
    assert client_address(peer, forwarded, proxies) == address


def test_a_configured_name_is_served_too():
    assert host_allowed("voice.example:443", "0.0.0.0", ("Voice.Example",))
    assert not host_allowed("evil.example", "0.0.0.0", ("voice.example",))
    assert not host_allowed("", "", ())


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("localhost:8765", True),
        ("LOCALHOST:8765", True),
        ("127.0.0.1:8765", True),
        ("[::1]:8765", True),
        ("192.168.1.7:8765", True),
        ("voice.localhost:8765", True),
        ("box.lan:8765", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example:8765@localhost", True),
        ("box.lan.evil.example", False),
        ("", False),
        ("[", False),
        ("[::1", False),
    ],
)
def test_only_names_that_can_not_be_rebound_are_served(host, allowed):
    assert host_allowed(host, "box.lan") is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:8765", True),
        ("http://localhost:8765", "localhost:8765", True),
        ("https://localhost:8765", "localhost:8765", True),
        ("http://localhost:9999", "localhost:8765", False),
        ("http://127.0.0.1:8765", "localhost:8765", False),
        ("https://evil.example", "localhost:8765", False),
        ("null", "localhost:8765", False),
        ("", "localhost:8765", False),
        ("http://[", "localhost:8765", False),
        ("", "", False),
    ],
)
def test_only_our_own_page_and_programs_may_post(origin, host, allowed):
    assert origin_allowed(origin, host) is allowed


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_makes_the_checks_fail(origin, host):
    assert host_allowed(host, "127.0.0.1") in (True, False)
    assert origin_allowed(origin, host) in (True, False)
