"""The audit's check of the mutated sequences."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from copra.files import sha256_of_text
from copra.provenance.findings import Finding, judged
from copra.provenance.results import Run


def mutants_differ(run: Run) -> list[Finding]:
    """Every stated mutation is a mutant or has a reason, and a mutant differs from its chain where stated, only there.

    That a place of the sequence is the residue of the author's number is what the structure says; it is not read again.
    """
    mutations, mutants, rejects = (run.table(name) for name in ("mutations", "mutants", "rejects"))
    refused = set(rejects[["source", "source_row"]].itertuples(index=False, name=None))
    stated = {row["mutation_id"]: row for row in mutations.to_dict("records")}
    made = set(mutants["mutation_id"])
    problems = dict.fromkeys(made - stated.keys(), "a mutant of no stated mutation")
    for name, row in stated.items():
        has_reason = (row["source"], row["source_row"]) in refused
        if has_reason == (name in made):
            problems[name] = "both a mutant and refused" if has_reason else "neither a mutant nor refused"
    chains = run.table("chains")
    known = dict(zip(zip(chains["pdb_id"], chains["chain"], strict=True), chains["sequence"], strict=True))
    for mutant in mutants.to_dict("records"):
        name = mutant["mutation_id"]
        problem = _problem(mutant, stated.get(name), known.get((mutant["pdb_id"], mutant["chain"])))
        if problem:
            problems.setdefault(name, problem)
    refusals = len(stated) - len(made)
    return judged(problems, f"{len(made)} mutants of {len(stated)} stated mutations, {refusals} refused with a reason")


def _problem(mutant: dict[Any, Any], stated: dict[Any, Any] | None, wildtype: str | None) -> str:
    """What is wrong with one row of the table `mutants`; "" where nothing is."""
    if wildtype is None:
        return f"the structure has no chain {mutant['chain']}"
    sequence, names, places = (mutant[key] for key in ("mutant_sequence", "mutation", "polymer_indices"))
    for text, key in ((wildtype, "wildtype_sha256"), (sequence, "mutant_sha256")):
        if sha256_of_text(text) != mutant[key]:
            return f"{key} is not that of the sequence"
    if stated is not None and [stated["chain"], stated["mutation"]] != [mutant["chain"], names]:
        return f"{names} of chain {mutant['chain']}; the source says {stated['mutation']} of {stated['chain']}"
    if not len(sequence) == len(wildtype) == mutant["n_residues"]:
        return f"{len(sequence)} residues, the chain has {len(wildtype)}"
    found = [(str(i), a, b) for i, (a, b) in enumerate(zip(wildtype, sequence, strict=True)) if a != b]
    expected = [
        (place, name[:1], name[-1:]) for place, name in zip_longest(places.split(","), names.split(","), fillvalue="")
    ]
    if sorted(found) != sorted(expected):
        told = ", ".join(f"{a} to {b} at {place}" for place, a, b in found) or "nothing"
        return f"{told} differs from the chain, expected {names} at {places} only"
    return ""
