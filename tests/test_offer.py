"""What an offer must be, and which of its candidates are used."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.transports.offer import LONGEST_SDP, MOST_CANDIDATES, MOST_NAMES, OfferError, checked

AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0",
    "a=mid:0",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdabcdabcdabcdabcdab",
    "a=fingerprint:sha-256 AB:CD",
    "a=setup:actpass",
]
CHANNEL = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1"]
VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:2", "a=sendrecv", "a=rtpmap:96 VP8/90000"]
HEAD = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]


def offer(*sections: list[str]) -> str:
    return "\r\n".join([*HEAD, *(line for section in sections for line in section)]) + "\r\n"


def candidate(host: str, port: int = 5000, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2122260223 {host} {port} typ host generation 0"


def hosts(sdp: str) -> list[str]:
    return [line.split()[4] for line in sdp.splitlines() if line.startswith("a=candidate")]


def test_an_offer_for_sound_and_a_data_channel_passes_unchanged():
    text = offer([*AUDIO, candidate("192.168.1.7"), "a=end-of-candidates"], CHANNEL)
    assert checked(text, local_only=True) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begin with v=0"),
        ("nonsense", "begin with v=0"),
        (offer(), "0 audio sections"),
        (offer(CHANNEL), "0 audio sections"),
        (offer(AUDIO, AUDIO), "2 audio sections"),
        (offer(AUDIO, VIDEO), "sections beside"),
        (offer(AUDIO, CHANNEL, CHANNEL), "sections beside"),
        (offer([line for line in AUDIO if "opus" not in line]), "Opus"),
        (offer([line.replace("sendrecv", "recvonly") for line in AUDIO]), "microphone is missing"),
        (offer([line for line in AUDIO if "ice-pwd" not in line]), "no ice-pwd"),
        (offer([line for line in AUDIO if "fingerprint" not in line]), "no fingerprint"),
        (offer([line for line in AUDIO if "mid" not in line]), "names"),
        (offer(AUDIO, [line.replace("mid:1", "mid:0") for line in CHANNEL]), "of their own"),
        (offer(["a=group:BUNDLE 0 2"], AUDIO, CHANNEL), "bundles sections"),
        (offer(AUDIO) + "\0", "characters"),
        (offer(AUDIO) + "a=ü", "characters"),
        (offer(AUDIO) + "a=x\r\n" * LONGEST_SDP, "longer than"),
    ],
)
def test_other_offers_are_refused_with_a_sentence(text, says):
    with pytest.raises(OfferError, match=says) as caught:
        checked(text, local_only=True)
    assert str(caught.value).endswith(".")


def test_at_most_twenty_candidates_are_used_and_the_list_is_then_left_open():
    many = [candidate(f"10.0.0.{n}") for n in range(1, 60)]
    kept = checked(offer([*AUDIO, *many, "a=end-of-candidates"]), local_only=True)
    assert len(hosts(kept)) == MOST_CANDIDATES
    assert "end-of-candidates" not in kept


def test_at_most_four_names_are_looked_up():
    many = [candidate(f"{n}.local") for n in range(30)]
    assert len(hosts(checked(offer([*AUDIO, *many]), local_only=True))) == MOST_NAMES


def test_an_offer_can_not_make_the_server_knock_at_strangers():
    knocks = [
        candidate(host) for host in ("8.8.8.8", "2606:4700::1111", "224.0.0.251", "0.0.0.0", "example.org")
    ]
    near = [candidate(host) for host in ("192.168.1.7", "fd00::2", "169.254.3.4", "127.0.0.1")]
    text = offer([*AUDIO, *knocks, *near])
    assert hosts(checked(text, local_only=True)) == ["192.168.1.7", "fd00::2", "169.254.3.4", "127.0.0.1"]
    assert "8.8.8.8" in hosts(checked(text, local_only=False))
    assert "example.org" not in hosts(checked(text, local_only=False))


def test_candidates_over_tcp_are_left_out():
    text = offer([*AUDIO, candidate("192.168.1.7", 9, "tcp")])
    assert hosts(checked(text, local_only=True)) == []


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_passes_or_is_refused_with_an_offer_error(text):
    for sdp in (text, "v=0\r\n" + text, offer([*AUDIO, text]), offer([*AUDIO, "a=candidate:" + text])):
        with contextlib.suppress(OfferError):
            assert checked(sdp, local_only=True).startswith("v=0")
