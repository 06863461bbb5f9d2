"""Runs one command and writes down what it cost; benchmarks/scale.py puts it before every verb (COPRA_LAUNCHER).

Standard library only, so that this process stays far smaller than any that it measures. A line of JSON is appended to
the file that COPRA_MEASURED names: the verb, its arguments, seconds of the command and all its children, and the most
memory that one of them held.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    """Run the command; its exit status is passed on."""
    words = sys.argv[1:]
    started = time.monotonic()
    pid = os.posix_spawnp(words[0], words, os.environ)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    arguments = words[words.index("copra.cli") + 1 :]
    row = {
        "verb": arguments[0], "arguments": arguments[1:], "code": code, "wall_s": time.monotonic() - started,
        "cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024,
    }  # fmt: skip
    with open(os.environ["COPRA_MEASURED"], "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
