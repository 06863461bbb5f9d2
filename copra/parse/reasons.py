"""Why a row, or a cell of it, is not understood: the fixed list of codes of the column `reason` of `rejects`."""

from __future__ import annotations

REASONS = {
    # affinity text
    "empty": "the cell holds no text",
    "no_quantity": "neither the text nor its column says Kd, Ki, IC50 or Ka",
    "no_number": "no number stands where the value is expected",
    "no_unit": "the value has no unit",
    "unknown_unit": "what follows the value is not a unit of the quantity",
    "range": "two ends of a range, not one value",
    "several_values": "more than one value in one cell",
    "space_in_number": "digits with a space between them: one number or two",
    "comma_in_number": "a comma between digits: thousands or decimals",
    "not_positive": "a binding constant that is zero",
    "out_of_range": "a value too small or too large to hold",
    # cells that more than one table has
    "wrong_number_of_cells": "another number of cells than the heading line",
    "no_pdb_id": "no PDB id is stated",
    "bad_pdb_id": "the PDB id is not one",
    "bad_complex_name": "not an entry with its chains",
    "bad_chains": "the chain ids are not chain ids",
    "no_kd": "no Kd is stated",
    "bad_kd": "the Kd is not a number",
    "no_dg": "no dG is stated",
    "bad_dg": "the dG is not a number",
    "no_ddg": "no ddG is stated",
    "bad_ddg": "the ddG is not a number",
    # one table
    "bad_line": "not a line of the PDBbind index",
    "no_value": "the record of a wild type states neither Kd nor dG",
    "mutant_without_value": "the record of a mutant states neither Kd nor dG of the mutant",
    "bad_mutation": "the mutation is not wild type, residue number, mutant",
    "bad_binding_residues": "the binding residues are not a list of residues",
    "no_resolution": "no resolution is stated, not even -1 for NMR",
    "bad_resolution": "the resolution is not a number",
    "bad_sequence": "the sequence is not one of letters",
}


class NotUnderstood(Exception):
    """A row or cell that is refused; `reason` is one of REASONS, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is not in the list of reasons")
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
