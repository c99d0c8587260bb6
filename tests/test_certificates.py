"""Certificates: made once, kept private, used again, and refused where they won't do."""

import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local_voice import certificates
from local_voice.certificates import fingerprint, own_names, self_signed, tls_context
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

NOW = datetime.now(UTC)
NAMES = ["localhost", "127.0.0.1", "::1", "box.local"]


def split(path, folder):
    """The two halves of our file as a certificate and a key."""
    text = path.read_text()
    cut = text.index("-----BEGIN CERTIFICATE")
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_text(text[cut:])
    key.write_text(text[:cut])
    return cert, key


def test_a_certificate_names_this_machine_and_only_its_owner_may_read_it(tmp_path):
    path = self_signed(tmp_path / "new" / "folder", NAMES, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "box.local"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    assert list(path.parent.iterdir()) == [path]


def test_it_is_used_again_until_it_ends_soon_or_names_are_missing_or_others_may_read_it(tmp_path):
    first = self_signed(tmp_path, NAMES, NOW).read_bytes()
    assert self_signed(tmp_path, NAMES[:2], NOW + timedelta(days=300)).read_bytes() == first
    second = self_signed(tmp_path, [*NAMES, "other.local"], NOW).read_bytes()
    assert second != first
    third = self_signed(tmp_path, NAMES, NOW + timedelta(days=380)).read_bytes()
    assert third != second
    (tmp_path / certificates.FILE).chmod(0o644)
    path = self_signed(tmp_path, NAMES, NOW + timedelta(days=380))
    assert path.read_bytes() != third
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "rest", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_broken_file_is_replaced(tmp_path, rest):
    (tmp_path / certificates.FILE).write_bytes(rest)
    (tmp_path / certificates.FILE).chmod(0o600)
    assert len(fingerprint(self_signed(tmp_path, NAMES, NOW))) == 32 * 3 - 1


def test_a_folder_that_can_not_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"can't be kept in .*--tls-cert"):
        self_signed(tmp_path / "file" / "below", NAMES, NOW)


def test_a_name_that_no_certificate_can_hold_is_said(tmp_path):
    with pytest.raises(StartupError, match="No certificate can be made for"):
        self_signed(tmp_path, ["vöice.example"], NOW)


def test_the_names_are_those_by_which_browsers_come(monkeypatch):
    monkeypatch.setattr(certificates.socket, "gethostname", lambda: "Box.lan")
    monkeypatch.setattr(certificates, "own_address", lambda: "192.168.1.7")
    names = own_names(ServerSettings(host="0.0.0.0", allowed_hosts=("voice.example",)))
    assert names == [
        *("localhost", "box.lan", "box.local", "127.0.0.1", "::1", "voice.example", "192.168.1.7"),
    ]


def test_plain_http_has_no_context():
    assert tls_context(ServerSettings()) == (None, "")


def test_a_self_signed_context_says_its_fingerprint(monkeypatch, tmp_path):
    monkeypatch.setattr(certificates, "user_data_path", lambda name: tmp_path / name)
    context, print_ = tls_context(ServerSettings(tls="self-signed"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert print_ == fingerprint(tmp_path / "local-voice" / certificates.FILE)


def test_a_certificate_of_the_user_s_own_is_loaded(tmp_path):
    cert, key = split(self_signed(tmp_path, NAMES, NOW), tmp_path)
    context, print_ = tls_context(ServerSettings(tls_cert=str(cert), tls_key=str(key)))
    assert isinstance(context, ssl.SSLContext)
    assert print_ == ""


def test_a_certificate_that_will_not_do_is_said(tmp_path):
    cert, key = split(self_signed(tmp_path / "a", NAMES, NOW), tmp_path)
    old = tmp_path / "old"
    old.mkdir()
    old_cert, old_key = split(self_signed(tmp_path / "b", NAMES, NOW - timedelta(days=500)), old)
    plain = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"password")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.PEM, *plain)
    )
    text = tmp_path / "text.pem"
    text.write_text("hello")
    for one, two, says in (
        (tmp_path / "gone.pem", key, "The certificate .*gone.pem can't be read: No such file"),
        (text, key, "is not a certificate in PEM form"),
        (cert, tmp_path / "gone.key", "The key .*gone.key can't be read"),
        (cert, old_key, "does not belong to the certificate"),
        (cert, text, "does not belong to the certificate"),
        (cert, locked, "has a password"),
        (old_cert, old_key, r"ended on \d{4}-\d\d-\d\d: renew it"),
    ):
        with pytest.raises(StartupError, match=says):
            tls_context(ServerSettings(tls_cert=str(one), tls_key=str(two)))
