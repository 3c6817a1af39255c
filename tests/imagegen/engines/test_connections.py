import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imagegen.engines import addresses, connections
from imagegen.engines.base import EngineConfig
from imagegen.engines.errors import (
    EngineTimeout,
    EngineUnavailable,
)
from imagegen.engines.http import Client
from tests.fakes import server as faults
from tests.fakes.server import Echo


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate for tls.example that nobody has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tls.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("tls.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


class TestTLS:
    @pytest.fixture
    def secure(self, certificate, monkeypatch):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        monkeypatch.setattr(addresses, "lookup", lambda host, port: [("127.0.0.1", port)])
        with Echo() as running:
            running._server.socket = context.wrap_socket(running._server.socket, server_side=True)
            running.port = running._server.server_address[1]
            yield running

    @pytest.fixture
    def trusted(self, certificate, monkeypatch):
        connections._tls.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        yield
        connections._tls.cache_clear()

    def test_the_systems_certificates_are_trusted(self, secure, trusted):
        client = Client(EngineConfig("ours", f"https://tls.example:{secure.port}"))
        assert client.exchange("GET", "/a").json()["path"] == "/a"

    @pytest.mark.parametrize("fault", [faults.slow_headers, faults.slow_body, faults.silent])
    def test_the_deadline_ends_the_call(self, secure, trusted, fault):
        secure.fault = fault
        client = Client(EngineConfig("ours", f"https://tls.example:{secure.port}"))
        start = time.monotonic()
        with pytest.raises(EngineTimeout) as caught:
            client.exchange("GET", "/a", deadline_at=start + 1)
        assert time.monotonic() - start < 5
        assert caught.value.may_have_charged

    def test_a_certificate_for_another_host(self, secure, trusted):
        with pytest.raises(EngineUnavailable) as caught:
            Client(EngineConfig("ours", f"https://other.example:{secure.port}")).exchange("GET", "/a")
        assert "certificate" in caught.value.detail
        assert not caught.value.may_have_charged
        assert not secure.requests

    def test_a_certificate_that_nobody_vouches_for(self, secure):
        with pytest.raises(EngineUnavailable) as caught:
            Client(EngineConfig("ours", f"https://tls.example:{secure.port}")).exchange("GET", "/a")
        assert "certificate" in caught.value.detail
        assert not secure.requests

    def test_a_handshake_that_never_ends(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = Client(EngineConfig("ours", f"https://127.0.0.1:{silent.getsockname()[1]}"))
            start = time.monotonic()
            with pytest.raises(EngineTimeout) as caught:
                client.exchange("GET", "/", deadline_at=start + 1)
        assert time.monotonic() - start < 5
        assert not caught.value.may_have_charged
