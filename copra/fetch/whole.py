"""Whether what came is the file: looked at while it comes, so that it is not read a second time."""

from __future__ import annotations

from pathlib import Path

from isal import isal_zlib

from copra.bounded import MAX_TEXT_BYTES

NOT_GZIP: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub names an instance
GZIP_WINDOW = 31  # zlib's number for "a gzip file, sums checked"
UNPACKED_BYTES = 1 << 18  # at a time, so that no file, however well packed, fills the memory
MARKS = (b"ATOM", b"_atom_site.")
READ_BYTES = 1 << 18


class WrongBytes(Exception):
    """What came is not the file that was asked for; the text says why."""


class CoordinateCheck:
    """Takes the bytes of one coordinate file in pieces: a gzip file must be whole and right, and hold coordinates.

    What is larger than the reader takes is refused, so that neither a server that never ends nor a file that swells
    costs more than that.
    """

    def __init__(self, *, zipped: bool) -> None:
        self._zipped = zipped
        self._stream = isal_zlib.decompressobj(GZIP_WINDOW)
        self._marked, self._n_bytes = False, 0
        self._before = b""  # the end of the last piece, where a mark may begin

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises WrongBytes as soon as they cannot be those of a gzip file."""
        if not self._zipped:
            self._look(data)
            return
        while data:
            if self._stream.eof:  # a gzip file may have several members, and zeros after the last one
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = isal_zlib.decompressobj(GZIP_WINDOW)
            self._unpack(data)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        """No more bytes come; raises WrongBytes when the file is not whole or holds no coordinates."""
        while self._zipped and not self._stream.eof and self._unpack(b""):
            pass
        if self._zipped and not self._stream.eof:
            raise WrongBytes("not a whole gzip file: it ends too early")
        if not self._marked:
            raise WrongBytes("no coordinates in the file")

    def _unpack(self, data: bytes) -> int:
        try:
            text = self._stream.decompress(data, UNPACKED_BYTES)
        except NOT_GZIP as error:
            raise WrongBytes(f"not a whole gzip file: {error}") from error
        self._look(text)
        return len(text)

    def _look(self, text: bytes) -> None:
        self._n_bytes += len(text)
        if self._n_bytes > MAX_TEXT_BYTES:
            raise WrongBytes(f"more than {MAX_TEXT_BYTES} bytes of text")
        if self._marked:
            return
        text = self._before + text
        self._marked = any(mark in text for mark in MARKS)
        self._before = text[-max(map(len, MARKS)) :]


def check_coordinates(path: Path, *, zipped: bool) -> None:
    """Look at a coordinate file that is on disk; raises WrongBytes."""
    check = CoordinateCheck(zipped=zipped)
    with path.open("rb") as handle:
        while data := handle.read(READ_BYTES):
            check.feed(data)
    check.finish()
