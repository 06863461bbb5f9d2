"""Speed and memory of downloading structures, beside curl and aria2c against the same server on this machine.

    python benchmarks/fetch.py [--entries 6000] [--parallel 8] [--rounds 3]

Prints Markdown. copra also unpacks each file to see that it is whole, sums it and writes a receipt; `curl, gzip -t,
sha256sum` is the same work done with those three programs, the last two on all cores. Every round starts with another
candidate. What was measured where stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import MIB, cores, machine, markdown, median_ratio, medians, run_job

ROOT = Path(__file__).resolve().parent.parent
STRUCTURES = ROOT.parent / "shared" / "data" / "structures"
SYNTHETIC_FILES, MEDIAN_BYTES, SIGMA = 100, 100_000, 0.8
ATOM_BYTES = 24  # of an atom row of the synthetic files, packed
FEW_ENTRIES = 600
PACKAGES = ("urllib3", "isal", "pandas")
NGINX = """worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}
"""
PYTHON_SERVER = """
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), partial(Quiet, directory=sys.argv[1])).serve_forever()
"""

Round = dict[str, float]


def tell(text: str) -> None:
    """Say on standard error how far it is."""
    print(text, file=sys.stderr, flush=True)


def program(name: str) -> str | None:
    """The path of a program, also where only an administrator's PATH has it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def make_archive(www: Path, entries: int) -> list[str]:
    """Lay out `entries` gzip files as archives do; returns their ids. Real files where there are any, repeated."""
    files = sorted(STRUCTURES.glob("*.cif.gz"))
    if not files:
        print("../shared/data/structures is not here: the files are synthetic.\n")
        files = list(_synthetic(www.parent / "synthetic"))
    ids = []
    for i in range(entries):
        pdb_id = f"{i:06d}"
        target = www / pdb_id[-3:-1] / f"{pdb_id}.cif.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[i % len(files)], target)
        ids.append(pdb_id)
    return ids


def _synthetic(folder: Path) -> Iterator[Path]:
    """Files of random atom rows whose sizes spread as those of the archive."""
    folder.mkdir()
    choice = random.Random(1)
    for number in range(SYNTHETIC_FILES):
        atoms = int(choice.lognormvariate(0, SIGMA) * MEDIAN_BYTES / ATOM_BYTES)
        rows = (
            f"ATOM {i} C CA . ALA A 1 {i // 8} ? {choice.gauss(0, 30):.3f} {choice.gauss(0, 30):.3f} "
            f"{choice.gauss(0, 30):.3f} 1.00 {choice.uniform(10, 90):.2f} ? {i // 8} ALA A CA 1\n"
            for i in range(atoms)
        )
        path = folder / f"{number}.cif.gz"
        path.write_bytes(gzip.compress(("data_x\nloop_\n_atom_site.id\n" + "".join(rows)).encode(), mtime=0))
        yield path


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve folder/www from another process; yields the server's name and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nginx = program("nginx")
    if nginx:
        folder.chmod(0o755)  # nginx's workers are another user when root starts it
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        command = [nginx, "-c", str(folder / "nginx.conf")]
    else:
        command = [sys.executable, "-c", PYTHON_SERVER, str(folder / "www"), str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield ("nginx" if nginx else "Python's http.server"), f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def curl_command(ids: list[str], address: str, folder: Path, parallel: int) -> list[str]:
    """curl --parallel for all files."""
    config = folder / "curl.cfg"
    config.write_text(
        "".join(f'url="{address}/{i[-3:-1]}/{i}.cif.gz"\noutput="{folder}/{i[-3:-1]}/{i}.cif.gz"\n' for i in ids)
    )
    return ["curl", "--silent", "--parallel", "--parallel-max", str(parallel), "--create-dirs", "-K", str(config)]


def aria_command(ids: list[str], address: str, folder: Path, parallel: int) -> list[str]:
    """aria2c for all files."""
    listed = folder / "aria.txt"
    listed.write_text("".join(f"{address}/{i[-3:-1]}/{i}.cif.gz\n  dir={folder}/{i[-3:-1]}\n" for i in ids))
    return ["aria2c", "--quiet", "-j", str(parallel), "-i", str(listed)]


def copra_job(ids: list[str], address: str, folder: Path, parallel: int) -> dict[str, Any]:
    """copra for all files, in a fresh process; returns its seconds without Python's start, and its peak memory."""
    url = address + "/{mid}/{id}.cif.gz"
    return run_job("fetch_jobs.fetch_all", cores(), ids=ids, url=url, folder=str(folder), parallel_downloads=parallel)


def run(command: list[str]) -> float:
    """Run a program and return seconds; its failure ends the benchmark.

    What it says is thrown away: curl shows its progress even when it is told to be silent.
    """
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def check_files(folder: Path) -> float:
    """gzip -t and sha256sum on all files, on all cores; returns seconds."""
    seconds = 0.0
    for words in ("gzip -t", "sha256sum"):
        find = f"find '{folder}' -name '*.cif.gz' -print0 | xargs -0 -n 100 -P {cores()} {words}"
        seconds += run(["sh", "-c", f"{find} > /dev/null"])
    return seconds


def candidates(ids: list[str], address: str, parallel: int) -> dict[str, Callable[[Path], float]]:
    """What is measured, by name; each writes into the folder it is given and returns the seconds of its work."""

    def copra(folder: Path) -> float:
        return float(copra_job(ids, address, folder, parallel)["job_s"])

    def curl(folder: Path) -> float:
        return run(curl_command(ids, address, folder, parallel))

    def curl_and_checks(folder: Path) -> float:
        return curl(folder) + check_files(folder)

    found: dict[str, Callable[[Path], float]] = {"copra": copra}
    if program("curl"):
        found |= {"curl": curl, "curl, gzip -t, sha256sum": curl_and_checks}
    if program("aria2c"):
        found["aria2c"] = lambda folder: run(aria_command(ids, address, folder, parallel))
    for name in ("curl", "aria2c"):
        if not program(name):
            print(f"{name} is not here and is left out.\n")
    return found


def empty_files(folder: Path) -> None:
    """Give the space of all files back. They stay: ext4 makes new files slowly for minutes after many were deleted."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def measure(works: dict[str, Callable[[Path], float]], folder: Path, rounds: int) -> list[Round]:
    """Seconds of each candidate, and of the processor (user and system), in rounds in which they take turns."""
    found = []
    names = list(works)
    for number in range(rounds):
        values: Round = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            tell(f"round {number + 1} of {rounds}: {name}")
            place = folder / f"{number}.{names.index(name)}"
            place.mkdir()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            values[name] = works[name](place)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            values[f"cpu {name}"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append(values)
        for place in folder.glob(f"{number}.*"):
            empty_files(place)
    return found


def main() -> None:
    """Make the archive, serve it, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=6000)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    print(machine(PACKAGES) + "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = make_archive(folder / "www", words.entries)
        sizes = [path.stat().st_size for path in (folder / "www").rglob("*.gz")]
        with serving(folder) as (server, address):
            works = candidates(ids, address, words.parallel)
            rounds = measure(works, folder, words.rounds)
            few = copra_job(ids[:FEW_ENTRIES], address, folder / "few", words.parallel)
            many = copra_job(ids, address, folder / "many", words.parallel)
            again = copra_job(ids, address, folder / "many", words.parallel)
    total = sum(sizes) / 1e6
    print(
        f"{len(ids)} files, {total:.0f} MB, median {statistics.median(sizes) / 1e3:.0f} kB; {server}; "
        f"{words.parallel} downloads at a time; median of {words.rounds} rounds\n"
    )
    middle = medians(rounds)
    rows = [
        [
            work, f"{middle[work]:.1f}", f"{total / middle[work]:.0f}", f"{middle[f'cpu {work}']:.1f}",
            f"{median_ratio(rounds, work, 'copra'):.2f}",
        ]
        for work in works
    ]  # fmt: skip
    print(markdown(["", "s", "MB/s", "processor s", "copra's speed relative to it"], rows))
    print(f"\nAll files already here: {again['job_s']:.1f} s.")
    peaks = [f"{job['peak_bytes'] / MIB:.0f} MiB" for job in (few, many)]
    print(f"Peak memory of copra: {peaks[0]} at {FEW_ENTRIES} files, {peaks[1]} at {len(ids)}.")


if __name__ == "__main__":
    main()
