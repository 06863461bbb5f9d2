"""CD-HIT 4.8.1: every flag written out, every sequence accounted for."""

from __future__ import annotations

import functools
import logging
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from copra.errors import CopraError, InputError

log = logging.getLogger(__name__)

VERSION = "4.8.1"  # as in envs/: another one may make other clusters
INSTALL_CD_HIT = f"apt-get install cd-hit    (or: conda install -c bioconda cd-hit={VERSION}), or ./run setup"

# CD-HIT's user guide: the longest word that cannot miss a pair at this identity.
WORD_LENGTHS = ((0.7, 5), (0.6, 4), (0.5, 3), (0.4, 2))

# Width of the alignment's diagonal band. At CD-HIT's own 20 a relative whose alignment needs a longer
# gap loses its identity: on the published PRA310 sequences at 70 %, RIG-I 5f98/5f9f, PUM 5yki/1m8w and
# U2AF 2yh1/2g4b fall apart at 20 and are joined at 200 (194 clusters become 192, 0.1 s in all).
BAND_WIDTH = 200

# Every other setting of CD-HIT 4.8.1, so that none of its defaults acts unseen. No coverage is asked for
# (-aS 0, -s 0): identity counts over the whole shorter chain (-G 1), which implies coverage of that chain,
# and a fragment must not part from the full protein. -g 1: the nearest cluster, not the first one met.
# -d 0: names are not cut.
SHARED_FLAGS = (
    "-G 1 -g 1 -M 0 -d 0 -t 2 -s 0.0 -S 999999 -aL 0.0 -AL 99999999 -aS 0.0 -AS 99999999 -A 0 "
    "-uL 1.0 -uS 1.0 -U 99999999 -B 0 -p 0 -bak 0"
)
CLUSTER_FLAGS = f"{SHARED_FLAGS} -sc 0 -sf 0"
# By default cd-hit-2d finds no relative that is longer than the sequence it is compared with.
COMPARE_FLAGS = f"{SHARED_FLAGS} -s2 0.0 -S2 99999999"


def word_length(identity: float) -> int:
    """The CD-HIT word length for an identity threshold; raises InputError below 0.4, which CD-HIT refuses."""
    for threshold, length in WORD_LENGTHS:
        if identity >= threshold:
            return length
    raise InputError(f"CD-HIT clusters proteins at an identity of 0.4 or more, found {identity}")


def cluster_sequences(sequences: dict[str, str], identity: float, threads: int) -> list[list[str]]:
    """Groups of the keys of `sequences` (key -> protein sequence), each key in exactly one group.

    Sequences shorter than CD-HIT's word are beyond it: each is a group of its own, since keys are
    distinct sequences.
    """
    word = word_length(identity)
    fit = {key: sequence for key, sequence in sequences.items() if len(sequence) >= word}
    short = [[key] for key in sequences if key not in fit]
    if short:
        log.info("%d protein sequences are shorter than %d residues: clustered by exact identity", len(short), word)
    groups = run_cd_hit(fit, identity, word, threads) if fit else []
    _require_all([key for group in groups for key in group], fit, "cd-hit")
    return groups + short


def relatives(sequences: dict[str, str], of: dict[str, str], identity: float, threads: int) -> set[str]:
    """The keys of `sequences` that have a relative among `of`, both key -> protein sequence.

    A relative shares at least `identity` of the residues of the shorter of the two, whichever that is, or is
    the same sequence. Sequences shorter than CD-HIT's word have only the second kind.
    """
    word = word_length(identity)
    known = set(of.values())
    same = {key for key, sequence in sequences.items() if sequence in known}
    others = {key: s for key, s in sequences.items() if key not in same and len(s) >= word}
    references = {key: sequence for key, sequence in of.items() if len(sequence) >= word}
    if not others or not references:
        return same
    return same | run_cd_hit_2d(others, references, identity, word, threads)


def run_cd_hit(sequences: dict[str, str], identity: float, word: int, threads: int) -> list[list[str]]:
    """Run the `cd-hit` program on `sequences`; raises CopraError when it is absent or fails."""
    with tempfile.TemporaryDirectory(prefix="copra-cd-hit-") as folder:
        fasta, out = Path(folder, "proteins.fasta"), Path(folder, "clusters")
        _write_fasta(sequences, fasta)
        _run("cd-hit", ["-i", str(fasta), "-o", str(out)], CLUSTER_FLAGS, identity, word, threads)
        return parse_clusters(Path(f"{out}.clstr").read_text(encoding="utf-8"))


def run_cd_hit_2d(
    sequences: dict[str, str], references: dict[str, str], identity: float, word: int, threads: int
) -> set[str]:
    """The keys of `sequences` that the program `cd-hit-2d` finds to be relatives of one of `references`."""
    with tempfile.TemporaryDirectory(prefix="copra-cd-hit-") as folder:
        first, second, out = Path(folder, "1.fasta"), Path(folder, "2.fasta"), Path(folder, "rest")
        # a key may stand on both sides: the number tells them apart
        _write_fasta({f"1.{key}": s for key, s in references.items()}, first)
        _write_fasta({f"2.{key}": s for key, s in sequences.items()}, second)
        files = ["-i", str(first), "-i2", str(second), "-o", str(out)]
        _run("cd-hit-2d", files, COMPARE_FLAGS, identity, word, threads)
        groups = parse_clusters(Path(f"{out}.clstr").read_text(encoding="utf-8"))
        found = [name[2:] for group in groups for name in group if name.startswith("2.")]
        rest = [line[3:].strip() for line in out.read_text(encoding="utf-8").splitlines() if line.startswith(">2.")]
    _require_all(found + rest, sequences, "cd-hit-2d")
    return set(found)


def _write_fasta(sequences: dict[str, str], path: Path) -> None:
    # CD-HIT sorts by length and keeps the order given among equals: a fixed order, whatever the rows' order
    path.write_text("".join(f">{key}\n{sequences[key]}\n" for key in sorted(sequences)), encoding="utf-8")


def _run(name: str, files: list[str], flags: str, identity: float, word: int, threads: int) -> None:
    program = shutil.which(name)
    if program is None:
        raise CopraError(f"the program '{name}' is not on PATH; install it with:  {INSTALL_CD_HIT}")
    _require_version(program)
    # -l drops the sequences of this length or shorter without a word
    settings = ["-c", str(identity), "-n", str(word), "-l", str(word - 1), "-b", str(BAND_WIDTH), "-T", str(threads)]
    done = subprocess.run(
        [program, *files, *settings, *flags.split()],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).split("\n")
        said = [line.strip() for line in said if line.strip()][-2:]
        raise CopraError(
            f"{program} failed with status {done.returncode}: {' / '.join(said) or 'it said nothing'}\n"
            f"a negative status is a signal: give the job more memory; or install CD-HIT anew with:  {INSTALL_CD_HIT}"
        )


@functools.cache  # a leakage report runs it some forty times
def _require_version(program: str) -> None:
    """Refuse another CD-HIT than the one whose settings are written above; `-h` prints the version."""
    done = subprocess.run([program, "-h"], capture_output=True, encoding="utf-8", errors="replace", check=False)
    found = re.search(r"CD-HIT version (\S+)", done.stdout + done.stderr)
    if found is None or found[1] != VERSION:
        raise CopraError(
            f"{program} is version {found[1] if found else 'unknown (it does not say)'}, expected CD-HIT {VERSION}, "
            f"whose clusters may differ; install it with:  {INSTALL_CD_HIT}"
        )


def _require_all(returned: list[str], given: dict[str, str], name: str) -> None:
    if sorted(returned) != sorted(given):
        lost = sorted(set(given) ^ set(returned))
        raise CopraError(f"{name} did not return every sequence exactly once; the first at fault: {lost[:3]}")


def parse_clusters(text: str) -> list[list[str]]:
    """The groups of names in the text of a CD-HIT `.clstr` file."""
    groups: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(">Cluster"):
            groups.append([])
        else:
            groups[-1].append(line.split(">", 1)[1].split("...", 1)[0])
    return groups
