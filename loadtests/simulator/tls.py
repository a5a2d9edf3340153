"""A private CA and a server certificate for localhost, for tests and benches."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = dt.timedelta(days=30)


class CertificateFiles(msgspec.Struct, frozen=True):
    """Paths of PEM files; callers trust `authority`, the server uses the other two."""

    authority: str
    certificate: str
    key: str


def make_certificates(folder: Path, *, expired: bool = False, name: str = "") -> CertificateFiles:
    """Write a fresh CA and a certificate for localhost, 127.0.0.1 and ::1 (or for `name` only)."""
    now = dt.datetime.now(dt.UTC)
    begin = now - dt.timedelta(days=2)
    end = now - dt.timedelta(days=1) if expired else now + LIFETIME
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _named("codex2api simulator CA")
    authority = (
        _builder(issuer, issuer, authority_key.public_key(), begin, now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(_identifier(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(_named(name or "localhost"), issuer, key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(_names(name)), critical=False)
        .add_extension(_identifier(key.public_key()), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    files = CertificateFiles(
        *(str(folder / file) for file in ("ca.pem", "server.pem", "server.key"))
    )
    folder.mkdir(parents=True, exist_ok=True)
    Path(files.authority).write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    Path(files.certificate).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    Path(files.key).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    Path(files.key).chmod(0o600)
    return files


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """A server context that speaks HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _names(name: str) -> list[x509.GeneralName]:
    if name:
        return [x509.DNSName(name)]
    addresses = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    return [x509.DNSName("localhost"), *(x509.IPAddress(address) for address in addresses)]


def _identifier(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
