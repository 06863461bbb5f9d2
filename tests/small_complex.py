"""Variants of a small complex of the demo archive: protein chain A and RNA chain R, 11 residue pairs in contact."""

from __future__ import annotations

import gzip
from pathlib import Path

import gemmi

FAR_ANGSTROM = 200.0


def small_complex(root: Path) -> gemmi.Structure:
    """The demo entry 0dac."""
    (path,) = (root / "resources" / "demo" / "archive" / "structures").rglob("0dac.cif.gz")
    return gemmi.read_structure(str(path))


def with_copy(structure: gemmi.Structure, names: dict[str, str], shift_angstrom: float) -> gemmi.Structure:
    """The structure with some of its chains once more under other names, moved along x."""
    out = structure.clone()
    for old, new in names.items():
        chain = structure[0][old].clone()
        chain.name = new
        for residue in chain:
            residue.subchain = new
            for atom in residue:
                atom.pos.x += shift_angstrom
        out[0].add_chain(chain)
        entity = next(e for e in out.entities if structure[0][old][0].subchain in e.subchains)
        entity.subchains = [*entity.subchains, new]
    return out


def pdb_lines(structure: gemmi.Structure) -> list[str]:
    """Bare ATOM records with TER between chains, as docking programs write them."""
    bare = structure.clone()
    bare.remove_hydrogens()
    options = gemmi.PdbWriteOptions(minimal=True, end_record=False)
    lines = bare.make_pdb_string(options).splitlines()
    return [line for line in lines if line.startswith(("ATOM", "TER"))]


def written(path: Path, lines: list[str] | str | bytes) -> Path:
    """The lines as a file; gzip data where the name ends in .gz."""
    if isinstance(lines, list):
        lines = "\n".join(lines) + "\n"
    data = lines.encode() if isinstance(lines, str) else lines
    path.write_bytes(gzip.compress(data, 1, mtime=0) if path.suffix == ".gz" and isinstance(lines, str) else data)
    return path


def cif(structure: gemmi.Structure) -> str:
    """The structure as mmCIF text."""
    return str(structure.make_mmcif_document().as_string())
