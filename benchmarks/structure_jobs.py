"""What the benchmark of the structure room measures; each public function is one job of one fresh process."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import gemmi
import numpy as np
import numpy.typing as npt
import pandas as pd

from copra.config_file import load_config
from copra.errors import InputError
from copra.files import sha256_of_file
from copra.structure.interface import Interface, chain_contacts, cut_interface
from copra.structure.reader import read_structure
from copra.structure.residues import Structure
from copra.structure.shard import build_interfaces, read_structures
from copra.structure.store import StructureStore, write_interfaces, write_structures
from copra.tables import TABLES, read_table, write_table

T = TypeVar("T")
Times = npt.NDArray[np.float64]


class Clock:
    """Processor seconds by name, added up; other processes of the machine blur them less than the time of day."""

    def __init__(self, *names: str) -> None:
        self.seconds = dict.fromkeys(names, 0.0)

    def __call__(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call the function and add the time it took."""
        started = time.process_time()
        found = function(*arguments)
        self.seconds[name] += time.process_time() - started
        return found


def now() -> Times:
    """Time of day and processor time in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def pdb_id_of(path: str) -> str:
    """The entry of a coordinate file."""
    return Path(path).name.split(".")[0].lower()


def chain_set(contacts: Iterable[Any]) -> tuple[list[str], list[str]]:
    """Protein and RNA chains of the connected group with the most residue contacts, sorted.

    `contacts` are ChainContacts or rows of the table `contacts`.
    """
    groups: list[tuple[set[str], set[str], int]] = []
    for contact in contacts:
        proteins, rnas, count = {contact.protein_chain}, {contact.rna_chain}, contact.n_residue_contacts
        apart = []
        for group in groups:
            if group[0] & proteins or group[1] & rnas:
                proteins, rnas, count = proteins | group[0], rnas | group[1], count + group[2]
            else:
                apart.append(group)
        groups = [*apart, (proteins, rnas, count)]
    best = min(groups, key=lambda group: (-group[2], sorted(group[0])))
    return sorted(best[0]), sorted(best[1])


def cut(structure: Structure, contacts: list[Any], interface_nodes: int) -> Interface:
    """The interface of the largest group of touching chains."""
    proteins, rnas = chain_set(contacts)
    complex_id = f"{structure.pdb_id}:{','.join(proteins)}:{','.join(rnas)}"
    return cut_interface(structure, complex_id, proteins, rnas, interface_nodes)


def sizes(paths: list[str], config: str) -> dict[str, Any]:
    """Heavy atoms and residues of each readable entry and of its largest group of touching chains.

    Files that cannot be read or have no protein in contact with RNA are only counted.
    """
    settings = load_config(Path(config)).structures
    files, left_out = [], 0
    for path in paths:
        try:
            structure = read_structure(Path(path), pdb_id_of(path))
        except InputError:
            left_out += 1
            continue
        contacts = chain_contacts(structure, settings.contact_cutoff_angstrom)
        if not contacts:
            left_out += 1
            continue
        proteins, rnas = chain_set(contacts)
        residues = dict.fromkeys((*proteins, *rnas), 0)
        atoms = dict(residues)
        for i, name in enumerate(structure.chain_ids):
            if name in residues:
                part = structure.chain_residues(i)
                residues[name] += part.stop - part.start
                atoms[name] += int(structure.atom_offsets[part.stop] - structure.atom_offsets[part.start])
        files.append(
            {
                "path": path,
                "atoms": len(structure.arrays["atom_name"]),
                "proteins": proteins,
                "rnas": rnas,
                "residues": sum(residues.values()),
                "protein_atoms": sum(atoms[name] for name in proteins),
                "rna_atoms": sum(atoms[name] for name in rnas),
            }
        )
    values = {"contact_cutoff_angstrom": settings.contact_cutoff_angstrom, "interface_nodes": settings.interface_nodes}
    return {"files": files, "left_out": left_out, "settings": values}


def shard(paths: list[str], contact_cutoff_angstrom: float, interface_nodes: int) -> dict[str, Any]:
    """The path of one shard: the verb `read-structures`, then the interfaces of its entries into a second store.

    `path_s` ends there; `verbs_s` is with the verb `build-interfaces` instead, which adds the buried surface. With
    `cpu` in the name it is processor time.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetched, store = folder / "fetched.parquet", folder / "store.h5"
        _write_fetched(paths, fetched)
        tables = {table: folder / f"{table}.parquet" for table in ("entries", "chains", "contacts")}
        started = now()
        read_structures(fetched, contact_cutoff_angstrom=contact_cutoff_angstrom, store=store, **tables)
        read = now()
        touching: dict[str, list[Any]] = {}
        for row in read_table(tables["contacts"], "contacts").itertuples():
            touching.setdefault(str(row.pdb_id), []).append(row)
        with StructureStore(store) as structures:
            interfaces = [cut(structures.read(pdb_id), found, interface_nodes) for pdb_id, found in touching.items()]
        write_interfaces(interfaces, folder / "interfaces.h5")
        path = now() - started
        _write_records([interface.complex_id for interface in interfaces], folder / "records.parquet")
        again = now()
        build_interfaces(
            folder / "records.parquet", store=store, interface_nodes=interface_nodes, out=folder / "again.h5"
        )
        verbs = read - started + now() - again
    return {
        "complexes": len(interfaces),
        "residue_contacts": sum(contact.n_residue_contacts for found in touching.values() for contact in found),
        **dict(zip(("path_s", "path_cpu_s", "verbs_s", "verbs_cpu_s"), [*path.tolist(), *verbs.tolist()], strict=True)),
    }


def _write_fetched(paths: list[str], out: Path) -> None:
    """What the fetch would have said of these files."""
    rows = [
        {
            "pdb_id": pdb_id_of(path),
            "status": "fetched",
            "path": path,
            "url": "",
            "sha256": sha256_of_file(Path(path)),
            "bytes": Path(path).stat().st_size,
            "detail": "",
        }
        for path in paths
    ]
    write_table(pd.DataFrame(rows), out, "fetched")


def _write_records(complex_ids: list[str], out: Path) -> None:
    """Records of these complexes; only what an interface needs is filled in."""
    nothing = {"string": "", "int64": 0, "double": 0.0, "bool": False}
    empty = {field.name: nothing[str(field.type)] for field in TABLES["records"].schema()}
    rows = []
    for complex_id in complex_ids:
        pdb_id, proteins, rnas = complex_id.split(":")
        named = {"record_id": complex_id, "pdb_id": pdb_id, "protein_chains": proteins, "rna_chains": rnas}
        rows.append({**empty, **named})
    write_table(pd.DataFrame(rows), out, "records")


def _unpack(path: str) -> str:
    """What any reader of ours must do before parsing: bytes, their sha256, text."""
    data = Path(path).read_bytes()
    hashlib.sha256(data).hexdigest()
    return (gzip.decompress(data) if path.endswith(".gz") else data).decode()


def _gemmi_parse(path: str, text: str) -> gemmi.Structure:
    if ".cif" not in Path(path).name:
        return gemmi.read_pdb_string(text)
    return gemmi.make_structure_from_block(gemmi.cif.read_string(text)[0])


def biopython_parse(path: str) -> object:
    """Parse with Biopython, all models."""
    from Bio.PDB.MMCIFParser import MMCIFParser  # here, so that shard jobs do not pay for the import
    from Bio.PDB.PDBParser import PDBParser

    parser = MMCIFParser(QUIET=True) if ".cif" in Path(path).name else PDBParser(QUIET=True)
    with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open() as handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parser.get_structure(pdb_id_of(path), handle)


def stages(
    paths: list[str], sample: list[str], contact_cutoff_angstrom: float, interface_nodes: int
) -> dict[str, float]:
    """Processor seconds of each stage over the files; every reader takes its turn at each file.

    `bare_s` is gemmi.read_structure, `biopython_s` Biopython over the files of `sample` and `sample_s` our reading,
    contacts and interfaces of the same.
    """
    names = ("bare_s", "unpack_s", "parse_s", "structure_s", "contacts_s", "interface_s", "write_s", "biopython_s")
    structures, interfaces = [], []
    clock, sample_s = Clock(*names), 0.0
    _one_file(paths[0], Clock(*names), contact_cutoff_angstrom, interface_nodes)  # what happens only once
    for path in paths:
        own = Clock(*names)
        structure, interface = _one_file(path, own, contact_cutoff_angstrom, interface_nodes)
        structures.append(structure)
        interfaces.append(interface)
        if path in sample:
            own("biopython_s", biopython_parse, path)
            sample_s += sum(own.seconds[name] for name in ("structure_s", "contacts_s", "interface_s"))
        for name, seconds in own.seconds.items():
            clock.seconds[name] += seconds
    with tempfile.TemporaryDirectory() as folder:
        clock("write_s", write_structures, structures, Path(folder) / "store.h5")
        clock("write_s", write_interfaces, interfaces, Path(folder) / "interfaces.h5")
    del structures, interfaces
    whole = shard(paths, contact_cutoff_angstrom, interface_nodes)
    return {**clock.seconds, "sample_s": sample_s, "path_s": whole["path_cpu_s"], "verbs_s": whole["verbs_cpu_s"]}


def _one_file(
    path: str, clock: Clock, contact_cutoff_angstrom: float, interface_nodes: int
) -> tuple[Structure, Interface]:
    clock("bare_s", gemmi.read_structure, path)
    text = clock("unpack_s", _unpack, path)
    clock("parse_s", _gemmi_parse, path, text)
    structure = clock("structure_s", read_structure, Path(path), pdb_id_of(path))
    contacts = clock("contacts_s", chain_contacts, structure, contact_cutoff_angstrom)
    return structure, clock("interface_s", cut, structure, contacts, interface_nodes)
