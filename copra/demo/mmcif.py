"""Writing an entry of the demo world as the PDB archive does: a gzipped mmCIF file with its usual categories."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import gemmi
import numpy as np

from copra.demo.geometry import Floats, about_axis, thousandths, unit
from copra.demo.molecules import Entry, Residue
from copra.files import replacing

POLYMER_TYPES = {"protein": "polypeptide(L)", "rna": "polyribonucleotide", "dna": "polydeoxyribonucleotide"}
ATOM_COLUMNS = [
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "B_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_PDB_model_num",
]  # fmt: skip
ALTERNATE_TURN_DEG = 35.0
MODEL_JITTER_ANGSTROM = 0.15


def write_gzip(path: Path, data: bytes) -> None:
    """Write gzip without time and file name, so that the same data give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as packed:
        packed.write(data)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def mmcif_text(entry: Entry, rng: np.random.Generator) -> str:
    """The entry as mmCIF text; `rng` moves the atoms of all models but the first."""
    document = gemmi.cif.Document()
    block = document.add_new_block(entry.pdb_id.upper())
    entities = _entities(entry)
    _write_header(block, entry)
    _write_entities(block, entry, entities)
    _write_sequences(block, entry, entities)
    _write_atoms(block, entry, entities, rng)
    return str(document.as_string(gemmi.cif.WriteOptions(gemmi.cif.Style.Pdbx)))


def _entities(entry: Entry) -> list[int]:
    """The entity number of each chain: chains of the same molecule and residues share one."""
    known: dict[tuple[str, ...], int] = {}
    return [
        known.setdefault((chain.molecule, *(residue.name for residue in chain.residues)), len(known) + 1)
        for chain in entry.chains
    ]


def _loop(block: gemmi.cif.Block, category: str, columns: list[str], rows: list[list[str]]) -> None:
    loop = block.init_loop(f"_{category}.", columns)
    for row in rows:
        loop.add_row([gemmi.cif.quote(cell) if cell not in {"?", "."} else cell for cell in row])


def _pairs(block: gemmi.cif.Block, category: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        block.set_pair(f"_{category}.{name}", gemmi.cif.quote(value) if value not in {"?", "."} else value)


def _write_header(block: gemmi.cif.Block, entry: Entry) -> None:
    code = entry.pdb_id.upper()
    _pairs(block, "entry", {"id": code})
    _pairs(block, "struct", {"entry_id": code, "title": entry.title, "pdbx_descriptor": "SYNTHETIC DEMO COMPLEX"})
    _pairs(block, "struct_keywords", {"entry_id": code, "pdbx_keywords": "SYNTHETIC", "text": "SYNTHETIC, NOT REAL"})
    _pairs(block, "pdbx_database_status", {"entry_id": code, "recvd_initial_deposition_date": entry.release_date})
    _pairs(block, "exptl", {"entry_id": code, "method": entry.method})
    if entry.resolution is not None:
        high = f"{entry.resolution:.2f}"
        _pairs(block, "refine", {"entry_id": code, "pdbx_refine_id": entry.method, "ls_d_res_high": high})
    _loop(
        block, "pdbx_audit_revision_history",
        ["ordinal", "data_content_type", "major_revision", "minor_revision", "revision_date"],
        [["1", "Structure model", "1", "0", entry.release_date], ["2", "Structure model", "1", "1", "2024-02-14"]],
    )  # fmt: skip


def _write_entities(block: gemmi.cif.Block, entry: Entry, entities: list[int]) -> None:
    first = {number: entry.chains[entities.index(number)] for number in sorted(set(entities))}
    rows = [
        [str(n), "polymer", "syn", f"SYNTHETIC {chain.molecule.upper()} OF FAMILY {entry.family}", "?",
         str(entities.count(n)), "?", "?", "?", "?"]
        for n, chain in first.items()
    ]  # fmt: skip
    last = len(first)
    if entry.ions:
        rows.append([str(last + 1), "non-polymer", "syn", "MAGNESIUM ION", "24.305", str(len(entry.ions)), *"????"])
    if entry.waters:
        rows.append([str(last + 2), "water", "nat", "water", "18.015", str(len(entry.waters)), *"????"])
    _loop(
        block, "entity",
        ["id", "type", "src_method", "pdbx_description", "formula_weight", "pdbx_number_of_molecules", "pdbx_ec",
         "pdbx_mutation", "pdbx_fragment", "details"],
        rows,
    )  # fmt: skip
    _loop(
        block, "entity_poly",
        ["entity_id", "type", "nstd_linkage", "nstd_monomer", "pdbx_seq_one_letter_code",
         "pdbx_seq_one_letter_code_can", "pdbx_strand_id", "pdbx_target_identifier"],
        [
            [str(n), POLYMER_TYPES[chain.molecule], "no", "yes" if any(r.modified for r in chain.residues) else "no",
             "".join(_code(r, chain.molecule) for r in chain.residues), chain.sequence,
             ",".join(c.name for c, e in zip(entry.chains, entities, strict=True) if e == n), "?"]
            for n, chain in first.items()
        ],
    )  # fmt: skip
    _loop(
        block, "entity_poly_seq", ["entity_id", "num", "mon_id", "hetero"],
        [[str(n), str(i + 1), r.name, "n"] for n, chain in first.items() for i, r in enumerate(chain.residues)],
    )  # fmt: skip


def _code(residue: Residue, molecule: str) -> str:
    """One residue in pdbx_seq_one_letter_code: deoxynucleotides and modified residues stand in brackets."""
    return f"({residue.name})" if residue.modified or molecule == "dna" else residue.letter


def _write_sequences(block: gemmi.cif.Block, entry: Entry, entities: list[int]) -> None:
    asyms = [[_asym(i), "N", "N", str(n), "?"] for i, n in enumerate(entities)]
    asyms += [[_asym(len(asyms)), "N", "N", str(max(entities) + 1), "?"]] if entry.ions else []
    asyms += [[_asym(len(asyms)), "N", "N", str(max(entities) + 2), "?"]] if entry.waters else []
    _loop(
        block, "struct_asym", ["id", "pdbx_blank_PDB_chainid_flag", "pdbx_modified", "entity_id", "details"], asyms
    )  # fmt: skip
    rows = []
    for i, (chain, n) in enumerate(zip(entry.chains, entities, strict=True)):
        for k, residue in enumerate(chain.residues):
            seen = [str(residue.number), residue.name] if residue.observed else ["?", "?"]
            insertion = residue.insertion if residue.insertion != "?" else "."
            rows.append(
                [_asym(i), str(n), str(k + 1), residue.name, str(k + 1), str(residue.number), seen[0], seen[1],
                 seen[1], chain.name, insertion, "n"]
            )  # fmt: skip
    _loop(
        block, "pdbx_poly_seq_scheme",
        ["asym_id", "entity_id", "seq_id", "mon_id", "ndb_seq_num", "pdb_seq_num", "auth_seq_num", "pdb_mon_id",
         "auth_mon_id", "pdb_strand_id", "pdb_ins_code", "hetero"],
        rows,
    )  # fmt: skip


def _asym(index: int) -> str:
    return chr(65 + index)


def _write_atoms(block: gemmi.cif.Block, entry: Entry, entities: list[int], rng: np.random.Generator) -> None:
    loop = block.init_loop("_atom_site.", ATOM_COLUMNS)
    serial = 0
    for model in range(1, entry.models + 1):
        for i, (chain, n) in enumerate(zip(entry.chains, entities, strict=True)):
            for k, residue in enumerate(chain.residues):
                if not residue.observed:
                    continue
                jitter = 0.0 if model == 1 else rng.uniform(-MODEL_JITTER_ANGSTROM, MODEL_JITTER_ANGSTROM, 3)
                for name, alternate, occupancy, position in _locations(residue):
                    serial += 1
                    loop.add_row(
                        ["HETATM" if residue.modified else "ATOM", str(serial), _element(name),
                         gemmi.cif.quote(name), alternate, residue.name, _asym(i), str(n), str(k + 1),
                         residue.insertion, *_cells(position + jitter), occupancy, "30.00", "?",
                         str(residue.number), residue.name, chain.name, gemmi.cif.quote(name), str(model)]
                    )  # fmt: skip
    _write_small(loop, entry, entities, serial)


def _write_small(loop: gemmi.cif.Loop, entry: Entry, entities: list[int], serial: int) -> None:
    asym, owner = len(entry.chains), entry.chains[0].name
    groups = [(entry.ions, "MG", "MG", 1, 101), (entry.waters, "HOH", "O", 2, 201)]
    for points, component, atom, above, number in groups:
        for k, position in enumerate(points):
            serial += 1
            loop.add_row(
                ["HETATM", str(serial), atom, atom, ".", component, _asym(asym),
                 str(max(entities) + above), ".", "?", *_cells(position), "1.00", "30.00", "?", str(number + k),
                 component, owner, atom, "1"]
            )  # fmt: skip
        asym += 1 if points else 0


def _cells(position: Floats) -> list[str]:
    return [f"{value / 1000:.3f}" for value in thousandths(position).tolist()]


def _element(atom_name: str) -> str:
    return "SE" if atom_name == "SE" else atom_name[0]


def _locations(residue: Residue) -> list[tuple[str, str, str, Floats]]:
    """Atom name, alternate location, occupancy and position of each row of a residue."""
    if not residue.alternate:
        return [(name, ".", "1.00", xyz) for name, xyz in zip(residue.atoms, residue.xyz, strict=True)]
    ca, cb = residue.atom("CA"), residue.atom("CB")
    turned = about_axis(residue.xyz, ca, unit(cb - ca), ALTERNATE_TURN_DEG)
    rows = []
    for i, name in enumerate(residue.atoms):
        if name in {"N", "CA", "C", "O", "CB"}:
            rows.append((name, ".", "1.00", residue.xyz[i]))
        else:
            rows += [(name, "A", "0.60", residue.xyz[i]), (name, "B", "0.40", turned[i])]
    return rows
