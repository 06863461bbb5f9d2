from __future__ import annotations

import json
from pathlib import Path

import sample_results

from copra.files import sha256_of_file
from copra.parse.mutations import parse_mutations
from copra.structure.mutants import apply_mutations
from copra.structure.reader import read_structure
from copra.structure.store import write_structures
from copra.tables import read_table


def test_every_mutation_of_the_demo_becomes_a_mutant(root: Path, tmp_path: Path) -> None:
    archive = root / "resources" / "demo" / "archive"
    table, receipt, stated = archive / "mcsm/mutations.txt", tmp_path / "receipt.json", tmp_path / "mutations.parquet"
    said = {"source": "mcsm_blind", "sha256": sha256_of_file(table), "bytes": table.stat().st_size}
    receipt.write_text(json.dumps(said | {"status": "fetched", "version": "demo", "url": "file:here", "detail": ""}))
    parse_mutations(
        table, format="mutation_list", ddg_sign="mut_minus_wt", source="mcsm_blind", receipt=receipt,
        mutations=stated, rejects=tmp_path / "not_understood.parquet",
    )  # fmt: skip
    names = sorted(set(read_table(stated, "mutations")["pdb_id"]))
    folder = archive / "structures/divided/mmCIF"
    structures = [read_structure(folder / name[1:3] / f"{name}.cif.gz", name) for name in names]
    write_structures(structures, tmp_path / "store.h5")
    sample_results.put(tmp_path / "entries.parquet", "entries", [])
    apply_mutations(
        [stated], stores=[tmp_path / "store.h5"], entries=tmp_path / "entries.parquet",
        out=tmp_path / "mutants.parquet", rejects=tmp_path / "rejects.parquet",
    )  # fmt: skip
    mutants = read_table(tmp_path / "mutants.parquet", "mutants")
    assert read_table(tmp_path / "rejects.parquet", "rejects").empty
    assert len(mutants) == len(table.read_text().splitlines()) >= 20
    assert set(mutants["molecule_type"]) == {"protein"}
    assert (mutants["mutant_sha256"] != mutants["wildtype_sha256"]).all()
