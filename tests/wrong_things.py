"""What a message to a hurried user must be, and stand-ins for the programs of a machine that lacks something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MOST_LINES = 5
# what snakemake prints after the last word of ours
CLOSING = ("Complete log(s):", "Elapsed time:", "WorkflowError:", "At least one job did not complete successfully.")

# a Python whose venv, pip and uv do nothing, or what FAKE_PIP says
PYTHON = """#!/bin/sh
case "$*" in
--version) echo "Python 3.12.1" ;;
"-m venv "*)
    for folder; do :; done
    mkdir -p "$folder/bin" "$folder/lib/python3.12/site-packages/numpy"
    cp "$0" "$folder/bin/python"
    printf '#!/bin/sh\\necho hello\\n' >"$folder/bin/hello"
    chmod +x "$folder/bin/hello"
    echo "version = 3.12.1" >"$folder/pyvenv.cfg"
    ;;
*"pip install"*)
    case "${FAKE_PIP:-}" in
    hangs) : >"$FAKE_PIP_STARTED" && exec sleep 60 ;;
    full) echo "ERROR: Could not install packages: [Errno 28] No space left on device" >&2 && exit 1 ;;
    esac
    ;;
esac
"""
CD_HIT = '#!/bin/sh\necho "		====== CD-HIT version {version} (built on Aug 20 2021) ======"\n{then}\n'


def told(done: subprocess.CompletedProcess[str], begins: str, *, what: str, where: str, then: str) -> list[str]:
    """Check a message: not a success, no traceback, short, last on the screen; says what, where and what then.

    It begins with the last line that holds `begins`. Returns its lines.
    """
    text = (done.stdout or "") + (done.stderr or "")
    assert done.returncode != 0, text
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(CLOSING)]
    starts = [number for number, line in enumerate(lines) if begins in line]
    assert starts, f"no line holds {begins!r}:\n{text}"
    message = lines[starts[-1] :]
    assert len(message) <= MOST_LINES, "\n".join(message)
    for kind, word in (("what", what), ("where", where), ("what next", then)):
        assert word in "\n".join(message), f"{kind}: {word!r} is not in\n" + "\n".join(message)
    return message


def program(folder: Path, name: str, text: str) -> Path:
    """An executable file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def cd_hit(folder: Path, version: str = "4.8.1", then: str = "exit 1") -> Path:
    """A folder for PATH with stand-ins of CD-HIT's two programs that do `then`."""
    for name in ("cd-hit", "cd-hit-2d"):
        program(folder, name, CD_HIT.format(version=version, then=then))
    return folder


def first_on_path(folder: Path) -> str:
    """The PATH with one folder before the others, and this Python's programs after it."""
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


def without_write_permission(*words: str) -> list[str]:
    """A command as a user runs it whom file permissions bind; root is not bound by any."""
    return ["setpriv", "--bounding-set=-dac_override", *words] if os.geteuid() == 0 else list(words)
