from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from split_rows import mutated, random_protein, write_records

from copra.config_file import load_config
from copra.config_split import ByIdentity
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.linkage import single_linkage
from copra.split.align import align_sequences
from copra.split.clusters import cluster_by_identity, cluster_proteins, link_records
from copra.tables import read_table

needs_cd_hit = pytest.mark.skipif(shutil.which("cd-hit") is None, reason="the program cd-hit is not installed")


def relatives(generator: np.random.Generator) -> dict[str, list[str]]:
    """Records of four kinds of protein; `link` joins the kinds a and b; `sht` is beyond CD-HIT."""
    base = {name: random_protein(90, generator) for name in "abcd"}
    proteins = {
        f"{i}{name}:A:B": [mutated(base[name], 0.1 * (i > 1), generator)] for name in "abcd" for i in range(1, 4)
    }
    proteins["9link:A,B:C"] = [base["a"], mutated(base["b"], 0.15, generator)]
    proteins["9sht:A:B"] = ["ACD"]
    proteins["8sht:A:B"] = ["ACD"]
    return proteins


def clusters_of(path: Path) -> dict[str, str]:
    return dict(read_table(path, "clusters").set_index("record_id")["cluster"])


@needs_cd_hit
def test_related_records_share_a_cluster_named_by_its_smallest_record(tmp_path: Path) -> None:
    proteins = relatives(np.random.default_rng(1))
    cluster_proteins(write_records(tmp_path / "r", proteins), identity=0.7, threads=1, clusters=tmp_path / "c")
    found = clusters_of(tmp_path / "c")
    assert set(found) == set(proteins)
    assert found["9link:A,B:C"] == found["1a:A:B"] == found["3b:A:B"] == "1a:A:B"  # linked through two chains
    assert found["1c:A:B"] == found["2c:A:B"] == "1c:A:B"
    assert found["9sht:A:B"] == found["8sht:A:B"] == "8sht:A:B"  # three residues: not dropped, exact identity
    assert len(set(found.values())) == 4


@needs_cd_hit
def test_neither_row_order_nor_threads_change_a_byte(tmp_path: Path) -> None:
    proteins = relatives(np.random.default_rng(2))
    for threads, given_order in ((1, proteins), (4, dict(reversed(proteins.items())))):
        records = write_records(tmp_path / "r", given_order)
        cluster_proteins(records, identity=0.5, threads=threads, clusters=tmp_path / str(threads))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "4").read_bytes()


def test_a_record_without_protein_is_named(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": [""]})
    with pytest.raises(InputError, match="1abc:A:B"):
        cluster_proteins(records, identity=0.7, threads=1, clusters=tmp_path / "c")


# --- by pairwise identity -----------------------------------------------------------------------------


def by_identity(
    root: Path, folder: Path, proteins: dict[str, list[str]], rna: dict[str, list[str]], **limits: float | None
) -> dict[str, str]:
    """The cluster of each record."""
    records = write_records(folder / "r", proteins, rna=rna)
    settings = load_config(root / "config.yaml").split.alignment
    align_sequences(records, settings=settings, threads=1, out=folder / "i")
    family = ByIdentity(method="alignment", **limits)
    cluster_by_identity(records, identities=folder / "i", settings=family, clusters=folder / "c")
    return clusters_of(folder / "c")


def test_relatives_beyond_cd_hits_reach_are_together(root: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    base = random_protein(200, generator)
    far = mutated(base, 0.62, generator)  # 38 % left
    proteins = {"1abc:A:B": [base], "2abc:A:B": [far], "3abc:A:B": [random_protein(200, generator)]}
    for limit, together in ((0.3, True), (0.45, False)):
        found = by_identity(root, tmp_path, proteins, {}, protein_identity=limit, rna_identity=None)
        assert (found["1abc:A:B"] == found["2abc:A:B"]) == together
        assert found["3abc:A:B"] == "3abc:A:B"


def test_families_by_rna_protein_and_both(root: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    kin = random_protein(80, generator)
    trna = "".join(generator.choice(list("ACGU"), 76))
    proteins = {name: [random_protein(80, generator)] for name in ("1abc:A:B", "2abc:A:B", "3abc:A:B", "4abc:A:B")}
    proteins["3abc:A:B"], proteins["4abc:A:B"] = [kin], [mutated(kin, 0.3, generator)]
    rna = {"1abc:A:B": [trna], "2abc:A:B": [trna[:60] + "AAAA"], "3abc:A:B": [trna[5:70]], "4abc:A:B": ["GGG"]}
    rna_only = by_identity(root, tmp_path, proteins, rna, protein_identity=None, rna_identity=0.8)
    assert list(rna_only.values()) == ["1abc:A:B", "1abc:A:B", "1abc:A:B", "4abc:A:B"]
    protein_only = by_identity(root, tmp_path, proteins, rna, protein_identity=0.4, rna_identity=None)
    assert list(protein_only.values()) == ["1abc:A:B", "2abc:A:B", "3abc:A:B", "3abc:A:B"]
    both = by_identity(root, tmp_path, proteins, rna, protein_identity=0.4, rna_identity=0.8)
    assert set(both.values()) == {"1abc:A:B"}  # 4 is linked to 1 through 3


def test_short_chains_are_accounted_for_and_join_their_like(root: Path, tmp_path: Path) -> None:
    proteins = {f"{n}abc:A:B": ["ACDEFGHIKL"[:n]] for n in range(1, 10)} | {"zsame:A:B": ["ACD"]}
    short = {
        "1abc:A:B": ["A"],
        "2abc:A:B": ["GG"],
        "3abc:A:B": ["GG"],
        "4abc:A:B": ["UUUUUUU"],
        "5abc:A:B": ["UUUUUUUU"],
    }
    rna = {record: short.get(record, ["ACGUGG" * 5 + "UUUUUUUU"]) for record in proteins}
    found = by_identity(root, tmp_path, proteins, rna, protein_identity=None, rna_identity=0.8)
    assert found.keys() == proteins.keys()
    assert found["2abc:A:B"] == found["3abc:A:B"] != found["1abc:A:B"]
    assert found["4abc:A:B"] == found["5abc:A:B"]  # 7 of 8
    assert found["5abc:A:B"] != found["6abc:A:B"]  # eight U stand in many RNA; that makes them no relatives
    found = by_identity(root, tmp_path, proteins, rna, protein_identity=1.0, rna_identity=None)
    assert found["zsame:A:B"] == found["3abc:A:B"]
    assert len(set(found.values())) == 9


def test_identities_of_other_records_are_refused(root: Path, tmp_path: Path) -> None:
    by_identity(root, tmp_path, {"1abc:A:B": ["ACD"], "2abc:A:B": ["ACE"]}, {}, protein_identity=0.4, rna_identity=None)
    more = write_records(tmp_path / "m", {"1abc:A:B": ["ACD"], "2abc:A:B": ["ACE"], "3abc:A:B": ["ACF"]})
    family = ByIdentity(method="alignment", protein_identity=0.4, rna_identity=None)
    with pytest.raises(InputError, match="expected 3 pairs of protein sequences of these records, found 1"):
        cluster_by_identity(more, identities=tmp_path / "i", settings=family, clusters=tmp_path / "c")


# --- single linkage -----------------------------------------------------------------------------------

NODES = st.integers(0, 11)


@given(links=st.lists(st.tuples(NODES, NODES), max_size=30))
def test_single_linkage_gives_the_connected_components_named_by_their_smallest(links: list[tuple[int, int]]) -> None:
    names = [f"{i:02}" for i in range(12)]
    found = single_linkage(names, [(names[a], names[b]) for a, b in links])
    ends = np.array(links, dtype=int).reshape(-1, 2)
    matrix = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(12, 12))
    _, component = connected_components(matrix, directed=False)
    assert found == {name: names[int(np.flatnonzero(component == component[i]).min())] for i, name in enumerate(names)}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("PQRST"), min_size=1), min_size=1))
def test_records_that_share_a_group_share_a_cluster_and_a_cluster_holds_together(groups: dict[str, list[str]]) -> None:
    cluster = link_records(groups)
    assert cluster == link_records(dict(reversed(groups.items())))
    for one in groups:
        for other in groups:
            if set(groups[one]) & set(groups[other]):
                assert cluster[one] == cluster[other]
    for name in set(cluster.values()):  # no cluster falls into two parts that share no group
        members = [record for record in groups if cluster[record] == name]
        reached, known = {min(members)}, set(groups[min(members)])
        while new := {record for record in members if record not in reached and known & set(groups[record])}:
            reached |= new
            known |= {group for record in new for group in groups[record]}
        assert reached == set(members)
        assert name == min(members)


def test_groups_are_named_by_sequence_not_by_order(root: Path, tmp_path: Path) -> None:
    by_identity(root, tmp_path, {"1abc:A:B": ["ACD"]}, {}, protein_identity=0.4, rna_identity=0.8)
    named = read_table(tmp_path / "c", "clusters").loc[0, "protein_clusters"]
    assert named == f"{sha256_of_text('ACD')[:16]},rna:{sha256_of_text('ACGUACGU')[:16]}"
