"""TLS for the web door: the user's own certificate, or one made here and kept.

A certificate made here is nobody's word but ours: browsers warn once, and its fingerprint, which is printed,
is what to compare. `cryptography` makes it. This room must not know who connects.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from platformdirs import user_data_path

from local_voice.access import is_local
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

VALID_DAYS = 397
"""The longest that Apple's and Google's browsers take of any certificate."""
RENEW_DAYS = 30
"""One that ends sooner is replaced at start-up."""
FILE = "self-signed.pem"
"""Key and certificate in one file, so that they always belong together."""


def tls_context(settings: ServerSettings) -> tuple[ssl.SSLContext | None, str]:
    """What `server.tls` and its kin ask for, and the certificate's SHA-256 fingerprint where we made it.

    (None, "") for plain HTTP. Raises `StartupError`.
    """
    if settings.tls_cert:
        cert, key = Path(settings.tls_cert).expanduser(), Path(settings.tls_key).expanduser()
        _require_valid(cert)
        return _context(cert, key), ""
    if settings.tls == "self-signed":
        names = own_names(settings)
        path = self_signed(user_data_path("local-voice"), names, datetime.now(UTC))
        return _context(path, path), fingerprint(path)
    return None, ""


def own_names(settings: ServerSettings) -> list[str]:
    """Names and addresses by which browsers may reach this machine."""
    name = socket.gethostname().lower()
    names = ["localhost", name, f"{name.partition('.')[0]}.local", "127.0.0.1", "::1"]
    names += [settings.host] if not is_local(settings.host) else []
    names += [*settings.allowed_hosts, own_address()]
    return list(dict.fromkeys(one.strip("[]") for one in names if one not in ("", "0.0.0.0", "::")))


def own_address() -> str:
    """The address that others in this network know this machine by; empty if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing: it asks which way would be taken
        return str(probe.getsockname()[0])
    return ""


def self_signed(folder: Path, names: Iterable[str], now: datetime) -> Path:
    """A file with a key and a certificate for these names, made where there is none that will do.

    Only its owner may read it. Raises `StartupError`.
    """
    names = list(names)
    path = folder / FILE
    if not _will_do(path, names, now):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_private(path, _make(names, now))
        except OSError as error:
            raise StartupError(
                f"The certificate can't be kept in {folder} ({error.strerror}): make that folder writable, "
                "or give a certificate with --tls-cert and --tls-key."
            ) from error
    return path


def fingerprint(path: Path) -> str:
    """SHA-256 of the certificate, written as browsers show it: `AB:CD:...`."""
    digest = x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _will_do(path: Path, names: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if path.stat().st_mode & 0o077:
            return False  # others could read the key
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    known = {str(name) for name in held.get_values_for_type(x509.DNSName)}
    known |= {str(address) for address in held.get_values_for_type(x509.IPAddress)}
    return set(names) <= known and certificate.not_valid_after_utc > now + timedelta(days=RENEW_DAYS)


def _make(names: list[str], now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local-voice")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of phones differ
        .not_valid_after(now + timedelta(days=VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise StartupError(
            f"No certificate can be made for {name!r}: use a name of plain letters."
        ) from error


def _write_private(path: Path, data: bytes) -> None:
    """There as a whole or not at all, and at no moment readable by others."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    new.replace(path)


def _require_valid(cert: Path) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    except OSError as error:
        raise StartupError(
            f"The certificate {cert} can't be read: {error.strerror}; see --tls-cert."
        ) from error
    except ValueError as error:
        raise StartupError(f"{cert} is not a certificate in PEM form; see --tls-cert.") from error
    ended = certificate.not_valid_after_utc
    if ended < datetime.now(UTC):
        raise StartupError(f"The certificate {cert} ended on {ended:%Y-%m-%d}: renew it.")


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Asked for a password, OpenSSL would wait at the terminal.
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        raise StartupError(
            f"The key {key} does not belong to the certificate {cert}, is not in PEM form or has a password: "
            "give the matching key without one with --tls-key."
        ) from error
    except OSError as error:
        raise StartupError(f"The key {key} can't be read: {error.strerror}; see --tls-key.") from error
    return context


def _no_password() -> str:
    return ""
