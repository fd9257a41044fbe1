"""nginx with the deployment's own site and a certificate made for the occasion."""

from __future__ import annotations

import datetime
import ipaddress
import random
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.deployment.files import REPOSITORY
from tests.deployment.running import listens, started, wait_until

TEMPLATE = REPOSITORY / "deploy" / "nginx" / "duebridge.conf.template"
# Below where the system's own choice of ports begins, on Linux (32768) as elsewhere (49152).
_PORTS = (18_000, 32_000)
_MAIN = """daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    include {site};
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its ports, the certificate to trust, and its two logs."""

    plain_port: int
    port: int
    certificate: Path
    folder: Path

    @property
    def logs(self) -> str:
        """All it has written."""
        return "".join((self.folder / name).read_text() for name in ("access.log", "error.log"))


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost and its key, as fullchain.pem and privkey.pem; the certificate's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*private))
    return folder / "fullchain.pem"


def site(folder: Path, upstream: str, plain_port: int, port: int) -> str:
    """The site as envsubst fills it in; its ports and logs are moved to where a test may have them."""
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("${DUEBRIDGE_HOST}", "localhost").replace("${DUEBRIDGE_UPSTREAM}", upstream)
    assert "${" not in text, "nothing else is filled in"
    for said, moved in (
        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("listen [::]:80;", ""),
        ("listen [::]:443 ssl;", ""),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert said in text
        text = text.replace(said, moved)
    return text


def two_ports() -> tuple[int, int]:
    """Ports nobody listens on just now, out of a range the system gives to nobody by itself: other tests run beside."""
    chance = random.SystemRandom()
    while True:
        ports = chance.randrange(*_PORTS), chance.randrange(*_PORTS)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", ports[0]))
            other.bind(("127.0.0.1", ports[1]))
            return ports


@contextmanager
def proxy(folder: Path, upstream: str, ports: tuple[int, int]) -> Iterator[Proxy]:
    """Run nginx before an upstream until the block ends."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not here: install the package nginx-light to have the product served through it.")
    folder.mkdir(parents=True, exist_ok=True)
    # Its processes drop to another user when started as root.
    folder.chmod(0o755)
    certificate = make_certificate(folder / "tls")
    for name in ("access.log", "error.log"):
        (folder / name).touch()
    (folder / "site.conf").write_text(site(folder, upstream, *ports), encoding="utf-8")
    (folder / "nginx.conf").write_text(_MAIN.format(site=folder / "site.conf"), encoding="utf-8")
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with started(command, {"PATH": "/usr/sbin:/usr/bin:/bin"}, folder / "nginx.log") as process:
        wait_until(lambda: listens(ports[1]), process, "nginx listening")
        yield Proxy(*ports, certificate, folder)
        assert "[warn]" not in process.words() and "[emerg]" not in process.words(), process.words()
