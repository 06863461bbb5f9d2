"""Connections to servers: kept open, through the institute's proxy and with its certificates where there are any."""

from __future__ import annotations

import os
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from copra.errors import InputError

LONGEST_CONNECT_S = 20.0  # a server that is there answers sooner
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
HEADERS = {"User-Agent": "copra", "Accept-Encoding": "identity"}
# everything but a redirect is judged and tried again by the caller
REDIRECTS = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=10, respect_retry_after_header=False)


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

    def get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer to a GET, redirects followed, its body not yet read; raises urllib3's errors."""
        manager = self._manager(url)
        return manager.request("GET", url, headers=HEADERS | headers, preload_content=False, retries=REDIRECTS)

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
