"""A scan of 20 residues beside the same 380 mutants predicted one by one.

`OMP_NUM_THREADS=1 python benchmarks/scan.py FILE --model FOLDER --chain A`; prints Markdown. See README.md.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine, markdown

from copra.predict.engine import Engine
from copra.predict.package import read_package
from copra.predict.positions import choose_positions
from copra.predict.scan import find_target, named_places
from copra.predict.substitutions import Substitution, mutant_of, substitutions

N_POSITIONS = 20


def processor_s(who: int) -> float:
    """Processor seconds so far of this process or of its finished children."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def command(words: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one `copra` command from its start to its end."""
    started, before = time.perf_counter(), processor_s(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "copra.cli", *words], check=True, capture_output=True)
    return time.perf_counter() - started, processor_s(resource.RUSAGE_CHILDREN) - before


def one_by_one(engine: Engine, path: Path, chain: str, mutants: list[Substitution]) -> tuple[float, float]:
    """Wall and processor seconds per mutant in one process, from the file to dG, nothing kept but the models."""
    started, before = time.perf_counter(), processor_s(resource.RUSAGE_SELF)
    for mutant in mutants:
        case = engine.case(path, None, None, None)
        target = find_target(case, path, chain, rna_scan=False, all_copies=False)
        engine.embed([*case.sequences, ("protein", mutant.sequence)])
        engine.dg_kcal_mol([engine.sample(mutant_of(case.interface, target, mutant))])
        engine.forget()
    n = len(mutants)
    return (time.perf_counter() - started) / n, (processor_s(resource.RUSAGE_SELF) - before) / n


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--chain", default="A")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    about = machine(("torch", "numpy"))
    engine = Engine(read_package(given.model), {}, None)
    case = engine.case(given.file, None, None, None)
    target = find_target(case, given.file, given.chain, rna_scan=False, all_copies=False)
    named = named_places(case, engine.package, target)
    chosen = choose_positions("contacts,interface", case.structure, target.index, named, given.file)[0][:N_POSITIONS]
    mutants = substitutions(case, target, chosen)
    engine.embed(case.sequences)
    engine.dg_kcal_mol([engine.sample(case.interface)])  # loads the models
    engine.forget()
    positions = ",".join(f"{at.number}{at.insertion_code}" for at in chosen)
    scans, warm, cold = [], [], []
    with tempfile.TemporaryDirectory() as out:
        for i in range(given.rounds):
            words = [str(given.file), "--model", str(given.model)]
            scans.append(command(["scan", *words, "--chain", given.chain, f"--positions={positions}", "--out", out]))
            warm.append(one_by_one(engine, given.file, given.chain, mutants[i :: len(mutants) // 10]))
            cold.append(command(["predict", *words, "--contributions", "none"]))
    n = len(mutants)
    best = [tuple(min(found[k] for found in rounds) for k in (0, 1)) for rounds in (scans, warm, cold)]
    names = (f"`copra scan`, {n} mutants", f"{n} x in one process", f"{n} x `copra predict`")
    rows = []
    for name, (wall, processor), times in zip(names, best, (1, n, n), strict=True):
        ratio = processor * times / best[0][1]
        rows.append((name, f"{wall * times:.1f}", f"{processor * times:.1f}", f"**{ratio:.1f}**"))
    members = len(engine.package.members)
    print(f"{about}\n\n{engine.package.name}, {members} members, {case.chosen.complex_id}, {len(chosen)} residues\n")
    print(markdown(("what", "wall, s", "processor, s", "processor time / scan's"), rows))


if __name__ == "__main__":
    main()
