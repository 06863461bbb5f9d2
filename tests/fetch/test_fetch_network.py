"""Downloads from behind an institute's proxy and with its certificates."""

from __future__ import annotations

import base64
import http.client
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from archive_server import Answers, Archive, Server, serving

from copra.errors import InputError
from copra.fetch import download
from copra.fetch.download import Downloader, NotBrought
from copra.fetch.partial import Partial

BODY = b"entry\tvalue\n" * 1000
VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


class Proxy(BaseHTTPRequestHandler):
    """Takes every request for a host that does not exist to the server at `target`."""

    target = ""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.archive.hits.append(self.headers.get("Proxy-Authorization", ""))  # type: ignore[attr-defined]
        connection = http.client.HTTPConnection(self.target)
        connection.request("GET", urlsplit(self.path).path)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving() as archive:
        archive.put("/a", BODY)
        yield archive


def bring(url: str, folder: Path) -> bytes:
    downloader = Downloader(connections=1, requests_per_s=None, retries=0, timeout_s=5, min_bytes_per_s=0)
    with Partial(folder / "file") as partial:
        downloader.bring(url, partial)
    return (folder / "file").read_bytes()


def test_the_proxy_of_the_environment_is_used(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = type("Here", (Proxy,), {"target": urlsplit(archive.url).netloc})
    with serving(answers) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:a%40b@"))
        assert bring("http://archive.invalid/a", tmp_path) == BODY
        login = "Basic " + base64.b64encode(b"me:a@b").decode()
        assert proxy.hits == [login]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert bring(archive.url + "/a", tmp_path) == BODY
        assert len(proxy.hits) == 1, "hosts of NO_PROXY are asked directly"


def test_a_proxy_of_another_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(InputError, match="names a socks5 proxy") as error:
        bring("http://archive.invalid/a", tmp_path)
    assert "secret" not in str(error.value)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate that nobody knows; its url and the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the test's certificate, is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    archive = Archive()
    archive.put("/a", BODY)
    server = Server(("127.0.0.1", 0), type("Bound", (Answers,), {"archive": archive}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}/a", certificate
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_the_environment_are_used(
    variable: str, secure: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = secure
    with pytest.raises(NotBrought, match=r"CERTIFICATE_VERIFY_FAILED.*name its certificate in SSL_CERT_FILE"):
        bring(url, tmp_path)
    monkeypatch.setenv(variable, str(certificate))
    assert bring(url, tmp_path) == BODY
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=rf"{variable} is '.*none.pem': no such file"):
        bring(url, tmp_path)
