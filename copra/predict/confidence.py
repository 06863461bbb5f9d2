"""Predicted structures: how they are recognised, and the confidence that they carry in the place of B-factors."""

from __future__ import annotations

import re

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.coordinate_file import PARSE_ERRORS
from copra.structure.residues import Structure

PLDDT = "plddt"  # name of the array [R] that a predicted structure has besides RESIDUE_ARRAYS
HIGHEST = 100.0
# Below it AlphaFold's database calls a residue's place of low confidence (Tunyasuvunakool et al. 2021)
LOW_PLDDT = 70.0
SAME_IN_RESIDUE = 0.011  # two decimals, rounded
PROGRAMS = re.compile(
    rb"alphafold|colabfold|rosettafold|rosetta|boltz|chai-?1|chai-lab|protenix|esmfold|openfold|helixfold|omegafold"
    rb"|_ma_qa_metric|plddt|theoretical model",
    re.IGNORECASE,
)


def mentions_prediction(text: bytes) -> str:
    """The first name of a prediction program, or other sign of a computed model, in a file; "" where none is."""
    found = PROGRAMS.search(text)
    return found[0].decode().lower().replace("_ma_qa_metric", "model quality metrics") if found else ""


def residue_plddt(text: bytes, is_cif: bool, structure: Structure) -> npt.NDArray[np.float32] | None:
    """The mean confidence of each residue's atoms [R], 0 to 100; NaN where none is, None where B-factors are none.

    `structure` states neither method nor resolution. B-factors count as confidences where the file says that it is
    predicted, or where all atoms of each residue share one while residues differ, as prediction programs write them
    and as refined B-factors never are. They have to lie between 0 and 100; a file of 0 to 1 is multiplied by 100.
    """
    try:
        means, widths = _b_factors(text, is_cif, structure)
    except PARSE_ERRORS:  # in categories that the reader does without
        return None
    known = means[~np.isnan(means)]
    if not len(known) or known.min() < 0 or known.max() > HIGHEST or np.ptp(known) == 0:
        return None
    is_shared = bool(np.nanmax(widths) <= SAME_IN_RESIDUE)
    if not is_shared and not mentions_prediction(text):
        return None
    scale = HIGHEST if known.max() <= 1 else 1.0
    return (means * scale).astype(np.float32)


def _b_factors(
    text: bytes, is_cif: bool, structure: Structure
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean [R] and largest difference [R] of the B-factors in each residue of the first model."""
    form = gemmi.CoorFormat.Mmcif if is_cif else gemmi.CoorFormat.Pdb
    model = gemmi.read_structure_string(text.decode("utf-8", errors="replace"), format=form)[0]
    found: dict[tuple[str, int | None, str], list[float]] = {}
    for chain in model:
        for part in chain:
            key = (chain.name, part.seqid.num, part.seqid.icode.strip())
            found.setdefault(key, []).extend(a.b_iso for a in part if not a.is_hydrogen())
    n_residues = len(structure.arrays["chain"])
    means, widths = np.full(n_residues, np.nan), np.zeros(n_residues)
    numbers, codes = structure.arrays["auth_number"].tolist(), structure.arrays["insertion_code"].tolist()
    for i, chain_index in enumerate(structure.arrays["chain"].tolist()):
        values = found.get((structure.chain_ids[chain_index], numbers[i], codes[i].decode()))
        if values:
            means[i], widths[i] = np.mean(values), max(values) - min(values)
    return means, widths
