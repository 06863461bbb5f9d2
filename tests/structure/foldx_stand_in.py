"""A program that stands in for FoldX: its command line, its files' names and the form of its tables.

A test copies it as a program. The file `mode` beside the copy says how it behaves; each call is a line of `calls`.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREAMBLE = (
    "FoldX 5.0 (2019)\nby the FoldX Consortium\nJesper Borg, Frederic Rousseau, Joost Schymkowitz,\n"
    "Luis Serrano and Francois Stricher\n------------------------------------------------\n\n"
    "PDB file analysed: {name}\nOutput type: AnalyseComplex\n"
)
COLUMNS = (
    "Pdb\tGroup1\tGroup2\tIntraclashesGroup1\tIntraclashesGroup2\tInteraction Energy\tBackbone Hbond\tSidechain Hbond"
)

THREE_LETTERS = "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL"


def main() -> int:
    options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
    mode = (HERE / "mode").read_text().strip() if (HERE / "mode").exists() else "pairs"
    print("   ********************************************\n   ***             FoldX 5 (stand-in)       ***")
    name = options["pdb"].removesuffix(".pdb")
    lines = Path(options["pdb"]).read_text().splitlines()  # as FoldX: in the folder in which it runs
    if mode == "rotabase" and not Path("rotabase.txt").is_file():
        print("rotabase.txt is needed")
        return 1
    if mode == f"hang in {options['command']}":
        (HERE / "hanging").write_text(str(os.getpid()))
        told(sys.argv[1:])
        time.sleep(600)
    told(sys.argv[1:])
    if mode == f"exit in {options['command']}":
        print("Specified PDB file not found\nEND of the \x1b[1mstory\x1b[0m")
        return 1
    if mode == f"silent in {options['command']}":
        return 0
    if options["command"] == "RepairPDB":
        Path(f"{name}_Repair.pdb").write_text("\n".join(line for line in lines if line[:4] in ("ATOM", "TER ", "END")))
        Path(f"{name}_Repair.fxout").write_text(PREAMBLE.format(name=name))
    elif options["command"] == "BuildModel":
        return build(name, lines, Path(options["mutant-file"]).read_text().split())
    else:
        analyse(name, lines, options["analyseComplexChains"].split(","), mode)
    print("Your file run OK\nEnd time of FoldX: Sat Jul  6 17:23:18 2024")
    return 0


def told(words: list[str]) -> None:
    """Keep what was asked; the hanging one does so when it can be found."""
    with (HERE / "calls").open("a") as calls:
        calls.write(" ".join(words) + "\n")


def build(name: str, lines: list[str], mutants: list[str]) -> int:
    """For each line of the list a mutant, whose changed residues keep backbone and CB alone, and its wild type."""
    names = dict(zip("ARNDCQEGHILKMFPSTWYV", THREE_LETTERS.split(), strict=True))
    for number, mutant in enumerate(mutants, start=1):
        model = lines
        for word in mutant.removesuffix(";").split(","):
            wanted = f"{names[word[0]]} {word[1]}{int(word[2:-1]):4d}"
            if not any(line[17:26] == wanted for line in model):
                print(f"residue {wanted} of the list is not in the structure")
                return 1
            model = [
                line[:17] + names[word[-1]] + line[20:] if line[17:26] == wanted else line
                for line in model
                if line[17:26] != wanted or line[:4] != "ATOM" or line[12:16].strip() in ("N", "CA", "C", "O", "CB")
            ]
        Path(f"{name}_{number}.pdb").write_text("\n".join(model))
        Path(f"WT_{name}_{number}.pdb").write_text("\n".join(lines))
    return 0


def analyse(name: str, lines: list[str], groups: list[str], mode: str) -> None:
    """Energy of two chains: -0.01 for each pair of atoms nearer than 4 angstrom."""
    atoms: dict[str, list[list[float]]] = {}
    for line in lines:
        if line.startswith("ATOM"):
            atoms.setdefault(line[21], []).append([float(line[i : i + 8]) for i in (30, 38, 46)])

    def energy(left: str, right: str) -> float:
        pairs = itertools.product((x for c in left for x in atoms[c]), (x for c in right for x in atoms[c]))
        return -0.01 * sum(math.dist(a, b) < 4 for a, b in pairs)

    rows = [tuple(groups)]
    if mode == "each two chains":  # those within a molecule too
        rows = list(itertools.combinations("".join(groups), 2))
    values = [(a, b, f"{energy(a, b):.6g}") for a, b in rows]
    if mode == "no number":
        values = [(a, b, "nan") for a, b, _ in values]
    heading = COLUMNS.replace("Interaction Energy", "Interaction") if mode == "other heading" else COLUMNS
    text = "".join(f"./{name}.pdb\t{a}\t{b}\t12.5\t0.84\t{value}\t-3.1\t-2.05\n" for a, b, value in values)
    garbage = "\x00\x01 not a table"
    Path(f"Interaction_{name}_AC.fxout").write_text(
        garbage if mode == "garbage" else f"{PREAMBLE.format(name=name)}{heading}\n{text}"
    )


if __name__ == "__main__":
    sys.exit(main())
