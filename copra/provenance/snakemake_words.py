"""What ./run looks at before it starts snakemake: the folder and the configuration files on the command line.

Snakemake itself answers an absent one with a traceback and a broken one without its name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from copra.errors import CopraError
from copra.yaml_file import read_yaml

SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")  # where snakemake looks
ELSEWHERE = {"-s", "--snakefile", "-d", "--directory", "-h", "--help", "-v", "--version"}


def mistake(words: Sequence[str], home: Path) -> str:
    """What is wrong with the words of a call of snakemake, and what to type instead; "" where nothing is.

    `home` is the folder with copra's Snakefile.
    """
    given = {word.split("=", 1)[0] for word in words}
    if not given & ELSEWHERE and not any(Path(name).is_file() for name in SNAKEFILES):
        return f"no Snakefile in {Path.cwd()}: copra's stands in {home}\ntype `cd {home}` and the same command again"
    if given & {"-d", "--directory"}:  # relative names would be looked for there
        return ""
    for name in values_of(words, "--configfile", "--configfiles"):
        told = _mistake_of_file(name)
        if told:
            return told
    for entry in values_of(words, "--config", "-C"):
        if not re.fullmatch(r"[a-zA-Z_][\w-]*\w=.*", entry, re.DOTALL):
            return (
                f"--config {entry}: expected KEY=VALUE with a key of the top level, as --config seed=7\n"
                "write what lies deeper into a file of its own, and name that with --configfile"
            )
    return ""


def values_of(words: Sequence[str], *options: str) -> list[str]:
    """The values that an option with one or more of them takes: all words until the next option or `--`."""
    values: list[str] = []
    taking = False
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            taking = name in options
            values += [value] if taking and equals else []
        elif taking:
            values.append(word)
    return values


def _mistake_of_file(name: str) -> str:
    path = Path(name)
    if not path.is_file():
        hint = "give the path of a YAML file, as seen from this folder"
        if re.fullmatch(r"\w+", name):
            hint = f"--configfile takes every word after it: if '{name}' is a target, type `-- {name}`"
        return f"--configfile {name}: no such file in {Path.cwd()}\n{hint}"
    try:
        read_yaml(path)
    except CopraError as error:
        return f"{error}\nmend the file (indent with blanks, not tabs) and type the same command again"
    return ""


if __name__ == "__main__":
    told = mistake(sys.argv[1:], Path(__file__).resolve().parents[2])
    if told:
        sys.stderr.write("".join(f"run: {line}\n" for line in told.splitlines()))
    sys.exit(2 if told else 0)
