"""The bipartite graph of an entry: protein chains and RNA chains, joined where they touch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def component_ranks(pairs: pd.DataFrame) -> pd.Series:
    """The rank of each pair's connected subgraph within its entry; 0 is the largest.

    `pairs` has the distinct rows pdb_id, protein_chain, rna_chain. The larger has more chains, then more pairs, then
    the protein chain that comes first as text: an entry of equal copies keeps one of them, whatever the rows' order.
    All entries are one graph, since a chain belongs to its entry. A name on both sides is two chains.
    """
    if pairs.empty:
        return pd.Series(dtype="int64", index=pairs.index)
    protein = pairs.groupby(["pdb_id", "protein_chain"]).ngroup().to_numpy()
    rna = pairs.groupby(["pdb_id", "rna_chain"]).ngroup().to_numpy() + protein.max() + 1
    n_chains = int(rna.max()) + 1
    edges = coo_array((np.ones(len(pairs), dtype=bool), (protein, rna)), shape=(n_chains, n_chains))
    component = connected_components(edges, directed=False)[1]
    groups = pairs.assign(component=component[protein]).groupby("component")
    table = groups.agg(pdb_id=("pdb_id", "first"), n_pairs=("pdb_id", "size"), first=("protein_chain", "min"))
    table["n_chains"] = np.bincount(component)[table.index]
    table = table.sort_values(["pdb_id", "n_chains", "n_pairs", "first"], ascending=[True, False, False, True])
    rank = table.groupby("pdb_id").cumcount()
    return pd.Series(rank.loc[component[protein]].to_numpy(), index=pairs.index, dtype="int64")
