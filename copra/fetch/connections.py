"""Connections to servers: kept open, through the institute's proxy and with its certificates where there are any."""

from __future__ import annotations

import os
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3

from copra.errors import InputError

LONGEST_CONNECT_S = 20.0  # a server that is there answers sooner
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
HEADERS = {"User-Agent": "copra", "Accept-Encoding": "identity"}
# failures are judged and tried again by the caller, redirects are followed below
NO_RETRIES = urllib3.Retry(0, redirect=False, respect_retry_after_header=False)
MOST_REDIRECTS = 10
READ_BEHIND_BYTES = 1 << 16  # of a redirect's body, so that its connection can be used again


class RefusedRedirect(Exception):
    """A server sent us to where we do not go; the text says where."""


class Connections:
    """Pools of connections that several threads share.

    HTTP_PROXY, HTTPS_PROXY and NO_PROXY (or in lower case) say which proxy is used; REQUESTS_CA_BUNDLE,
    CURL_CA_BUNDLE or SSL_CERT_FILE names a file of certificates that replaces the system's.
    """

    def __init__(self, *, per_host: int, timeout_s: float) -> None:
        self._options: dict[str, Any] = {
            "maxsize": per_host,
            "block": True,
            "timeout": urllib3.Timeout(connect=min(timeout_s, LONGEST_CONNECT_S), read=timeout_s),
            **_certificates(),
        }
        self._proxies = urllib.request.getproxies()
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.PoolManager] = {}  # proxy url, "" without one -> its pools
        self._routes: dict[tuple[str, str], str] = {}  # scheme and host -> proxy url

    def get(self, url: str, headers: dict[str, str]) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The answer to a GET, redirects followed, its body not yet read, and the url that gave it.

        Raises urllib3's errors, and RefusedRedirect for one to another scheme than http and https, from https back to
        http, to no usable url, and for more than MOST_REDIRECTS of them.
        """
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._manager(url).request(
                "GET", url, headers=HEADERS | headers, preload_content=False, retries=NO_RETRIES, redirect=False
            )
            place = answer.get_redirect_location()
            if not place:
                return answer, url
            _leave(answer)
            url = _redirected(url, place)
        raise RefusedRedirect(f"more than {MOST_REDIRECTS} redirects, the last to {origin(url)}")

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        where = (parts.scheme, parts.netloc)
        with self._lock:
            if where not in self._routes:
                proxy = self._proxies.get(parts.scheme, self._proxies.get("all", ""))
                self._routes[where] = "" if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]) else proxy
            proxy = self._routes[where]
            if proxy not in self._managers:
                self._managers[proxy] = self._new_manager(proxy)
            return self._managers[proxy]

    def _new_manager(self, proxy: str) -> urllib3.PoolManager:
        if not proxy:
            return urllib3.PoolManager(**self._options)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme not in ("http", "https"):
            raise InputError(
                f"the environment names a {parts.scheme} proxy; expected one that begins with http or https"
            )
        headers = None
        if parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=login)
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return urllib3.ProxyManager(address, proxy_headers=headers, **self._options)


def origin(url: str) -> str:
    """Scheme and host of a url: what may be told of it, as the rest of a redirect's may hold a key to the file."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _redirected(url: str, place: str) -> str:
    """Where a redirect leads; raises RefusedRedirect where a download does not follow."""
    try:
        found = urljoin(url, place)
        before, now = urlsplit(url).scheme, urlsplit(found).scheme
        named = origin(found) if now in ("http", "https") else f"{now}:"
    except ValueError as error:
        raise RefusedRedirect(f"a redirect to no usable url: {error}") from error
    if now not in ("http", "https"):
        raise RefusedRedirect(f"a redirect to {named}, expected one to http: or https:")
    if before == "https" and now == "http":
        raise RefusedRedirect(f"a redirect from https to {named}, where anybody on the way can change the file")
    return found


def _leave(answer: urllib3.BaseHTTPResponse) -> None:
    """Be done with an answer whose body nobody wants; one that may be long is not read to its end."""
    left = answer.headers.get("Content-Length", "")
    if left.isdigit() and int(left) <= READ_BEHIND_BYTES:
        answer.drain_conn()
    else:
        answer.close()
    answer.release_conn()


def _certificates() -> dict[str, str]:
    """urllib3's options for the certificates that the environment names; raises InputError where they are not there."""
    for variable in CA_VARIABLES:
        if place := os.environ.get(variable):
            if Path(place).is_dir():
                return {"ca_cert_dir": place}
            if Path(place).is_file():
                return {"ca_certs": place}
            raise InputError(f"{variable} is '{place}': no such file; expected a file of certificates")
    return {}
