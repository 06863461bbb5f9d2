"""The structure as a page shows it: some chains as mmCIF, and the text that the 3-D viewer is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.structure.residues import Structure

Place = tuple[str, int, str]  # author chain, author number, insertion code ("" for none)


@dataclass(frozen=True)
class ViewerModel:
    """mmCIF in which chain c is `c<index>` and residue r has the number r + 1, and what the file calls residue r.

    The viewer's parser knows no insertion codes and takes ids apart in its own ways; with these plain names every
    atom leads to its residue.
    """

    text: str
    places: tuple[Place, ...]
    names: tuple[str, ...]  # component ids


def shown_structure(structure: Structure, chains: Sequence[str]) -> str:
    """The heavy atoms of these chains (author ids) as mmCIF, with author ids, numbers and insertion codes.

    Raises InputError when the structure has no chain of such an id.
    """
    if missing := [chain for chain in chains if chain not in structure.chain_ids]:
        raise InputError(
            f"{structure.pdb_id}: found the chains {', '.join(structure.chain_ids)}, expected {', '.join(missing)}"
        )
    arrays = structure.arrays
    rows = [np.arange(len(arrays["chain"]))[structure.chain_residues(structure.chain_ids.index(c))] for c in chains]
    residues = np.concatenate(rows) if rows else np.zeros(0, dtype=int)
    counts = np.diff(structure.atom_offsets)[residues]
    of_atom = np.repeat(residues, counts)
    atoms = np.concatenate(
        [np.arange(structure.atom_offsets[r], structure.atom_offsets[r + 1]) for r in residues] or [np.zeros(0, int)]
    )
    names = {number: gemmi.Element(int(number)).name for number in np.unique(arrays["atom_element"][atoms])}
    ids = [gemmi.cif.quote(chain) for chain in structure.chain_ids]
    components = _quoted(arrays["residue_name"][of_atom])
    atom_names = _quoted(arrays["atom_name"][atoms])
    chain_column = [ids[index] for index in arrays["chain"][of_atom]]
    columns = {
        "group_PDB": ["ATOM"] * len(atoms),
        "id": [str(i + 1) for i in range(len(atoms))],
        "type_symbol": [names[number] for number in arrays["atom_element"][atoms]],
        "label_atom_id": atom_names,
        "label_alt_id": ["."] * len(atoms),
        "label_comp_id": components,
        "label_asym_id": chain_column,
        "label_entity_id": [str(index + 1) for index in arrays["chain"][of_atom]],
        "label_seq_id": [str(index + 1) for index in arrays["polymer_index"][of_atom]],
        "pdbx_PDB_ins_code": [code.decode() or "?" for code in arrays["insertion_code"][of_atom]],
        **_coordinates(arrays["atom_xyz_angstrom"][atoms]),
        "occupancy": ["1"] * len(atoms),
        "B_iso_or_equiv": ["0"] * len(atoms),
        "auth_seq_id": [str(number) for number in arrays["auth_number"][of_atom]],
        "auth_asym_id": chain_column,
        "pdbx_PDB_model_num": ["1"] * len(atoms),
    }
    return _as_mmcif(columns)


def viewer_model(structure_text: str) -> ViewerModel:
    """The first model of a PDB or mmCIF text for the viewer: heavy atoms, one conformer, no waters.

    Raises InputError for a text that is neither or holds no atom.
    """
    places: list[Place] = []
    names: list[str] = []
    columns: dict[str, list[str]] = {
        name: [] for name in ("type_symbol", "label_atom_id", "auth_comp_id", "auth_asym_id", "auth_seq_id")
    }
    xyz: list[tuple[float, float, float]] = []
    for chain_number, chain in enumerate(_first_model(structure_text)):
        seen = set()
        for residue in chain:
            place = (chain.name, int(residue.seqid.num or 0), residue.seqid.icode.strip())
            if residue.is_water() or place in seen:  # a second kind of residue at one place
                continue
            seen.add(place)
            places.append(place)
            names.append(residue.name)
            known = set()
            for atom in residue:
                if atom.is_hydrogen() or atom.name in known:
                    continue
                known.add(atom.name)
                values = (atom.element.name, atom.name, residue.name, f"c{chain_number}", str(len(places)))
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(gemmi.cif.quote(value))
                xyz.append((atom.pos.x, atom.pos.y, atom.pos.z))
    if not xyz:
        raise InputError("the structure of the page: found no atom, expected PDB or mmCIF text with atoms")
    head = {"group_PDB": ["ATOM"] * len(xyz), "id": [str(i + 1) for i in range(len(xyz))]}
    return ViewerModel(_as_mmcif(head | columns | _coordinates(np.array(xyz))), tuple(places), tuple(names))


def _first_model(text: str) -> gemmi.Model:
    try:
        if "_atom_site." in text:
            structure = gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
        else:
            structure = gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"the structure of the page: expected PDB or mmCIF text ({error})") from error
    if not len(structure):
        raise InputError("the structure of the page: found no model, expected PDB or mmCIF text with atoms")
    structure.merge_chain_parts()
    return structure[0]


def _quoted(names: npt.NDArray[np.bytes_]) -> list[str]:
    known = {name: gemmi.cif.quote(name.decode()) for name in np.unique(names)}
    return [known[name] for name in names]


def _coordinates(xyz: npt.NDArray) -> dict[str, list[str]]:
    return {f"Cartn_{axis}": [f"{value:.3f}" for value in xyz[:, i]] for i, axis in enumerate("xyz")}


def _as_mmcif(columns: dict[str, list[str]]) -> str:
    block = gemmi.cif.Block("complex")
    loop = block.init_loop("_atom_site.", list(columns))
    loop.set_all_values(list(columns.values()))
    return str(block.as_string())
