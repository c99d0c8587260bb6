"""Which SDP offers are let in, and which of their candidates.

An offer comes from outside and its candidates make this machine send packets to the addresses they name,
so it is bounded here before any peer is made. Plain text in, plain text out; this room knows no aiortc.
"""

from __future__ import annotations

import ipaddress

LONGEST_SDP = 32_768
"""Characters; an offer of Chromium for sound and a data channel has about 3,000."""
MOST_CANDIDATES = 20
"""UDP candidates used; a laptop with containers and a VPN offers about 10."""
NEEDED = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
"""Attributes without which nobody can connect; aiortc would only find out later."""
MOST_NAMES = 4
"""mDNS names (`*.local`) looked up; browsers use them only until the microphone is allowed."""


class OfferError(ValueError):
    """An offer that can't be answered; the message is a sentence for the one who sent it."""


def checked(sdp: str, *, local_only: bool) -> str:
    """The offer with only those candidates that will be used. Raises `OfferError`.

    `local_only` leaves out public addresses: a listener on this network can be reached without them, since
    its own packets show where it is.
    """
    if not sdp.startswith("v=0"):
        raise OfferError("The offer is not SDP: it has to begin with v=0.")
    if len(sdp) > LONGEST_SDP:
        raise OfferError(f"The offer is longer than {LONGEST_SDP} characters.")
    if "\0" in sdp or not sdp.isascii():
        raise OfferError("The offer holds characters that don't belong in SDP.")
    lines = sdp.splitlines()
    _check_sections(lines)
    return _keep_candidates(lines, local_only)


def _check_sections(lines: list[str]) -> None:
    kinds = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if kinds.count("audio") != 1:
        raise OfferError(f"The offer has {kinds.count('audio')} audio sections; it needs exactly one.")
    if kinds.count("application") > 1 or set(kinds) - {"audio", "application"}:
        raise OfferError("The offer has sections beside one for audio and one for a data channel.")
    audio = _section(lines, "audio")
    if not any(line.lower().startswith("a=rtpmap:") and " opus/48000" in line.lower() for line in audio):
        raise OfferError("The offer's audio has to include Opus at 48000 Hz.")
    if not {"a=sendrecv", "a=sendonly"} & set(audio):
        raise OfferError("The offer's audio has to be sendrecv: the microphone is missing.")
    missing = [name for name in NEEDED if not any(line.startswith(f"a={name}:") for line in audio)]
    if missing:
        raise OfferError(f"The offer's audio has no {missing[0]}.")
    _check_names(lines)


def _check_names(lines: list[str]) -> None:
    """Each section has a name of its own, and what is bundled is there."""
    names = [line[6:].strip() for line in lines if line.startswith("a=mid:")]
    sections = sum(line.startswith("m=") for line in lines)
    if len(names) != sections or len(set(names)) != sections:
        raise OfferError("The offer's sections need names (a=mid) of their own.")
    for line in lines:
        if line.startswith("a=group:BUNDLE") and not set(line.split()[1:]) <= set(names):
            raise OfferError("The offer bundles sections that it does not have.")


def _section(lines: list[str], kind: str) -> list[str]:
    """The lines of the first media section of a kind, with those that stand before all sections."""
    chosen: list[str] = []
    inside = True
    for line in lines:
        if line.startswith("m="):
            inside = line.startswith(f"m={kind} ")
        if inside:
            chosen.append(line.strip())
    return chosen


def _keep_candidates(lines: list[str], local_only: bool) -> str:
    kept: list[str] = []
    used = names = dropped = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            name = _is_name(line)
            if used == MOST_CANDIDATES or (name and names == MOST_NAMES) or not _usable(line, local_only):
                dropped += 1
                continue
            used += 1
            names += name
        kept.append(line)
    if dropped:
        # With the list declared complete, ICE would fail at once where only the peer's own packets can
        # show its address.
        kept = [line for line in kept if line.strip() != "a=end-of-candidates"]
    return "\r\n".join(kept) + "\r\n"


def _is_name(line: str) -> bool:
    bits = line.split()
    return len(bits) > 4 and bits[4].endswith(".local")


def _usable(line: str, local_only: bool) -> bool:
    bits = line.split()
    if len(bits) < 8 or bits[2].lower() != "udp":
        return False
    if _is_name(line):
        return True
    try:
        address = ipaddress.ip_address(bits[4])
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified:
        return False
    return not (local_only and address.is_global)
