"""One complex -> what is said of it: dG, Kd, the interval, what it rests on and how it is unlike the training set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.predict.attribution import METHODS, contributions, describe_method
from copra.predict.cautions import counted
from copra.predict.engine import Case, Engine
from copra.predict.neighbours import Neighbour, Record, TrainingSet
from copra.predict.options import model_facts
from copra.predict.package import Package
from copra.predict.result import Prediction
from copra.predict.views import contacts, residue_views, seen_nodes
from copra.units import HIGHEST_TEMPERATURE_K, LOWEST_TEMPERATURE_K, is_believable_temperature, kd_from_dg

if TYPE_CHECKING:  # torch takes seconds to load
    from copra.train.samples import Sample

# Below it a shared fold can no longer be told from the sequences (Rost 1999, doi 10.1093/protein/12.2.85)
FAR_IDENTITY = 0.3
NEIGHBOURS = 5  # that are told
SAME_RECORDS = 3  # that are told of


@dataclass(frozen=True)
class Options:
    """What is asked of every file; raises InputError for a value that cannot be meant."""

    temperature_k: float
    coverage: float
    contributions: str  # one of attribution.METHODS

    def __post_init__(self) -> None:
        if not is_believable_temperature(self.temperature_k):
            raise InputError(
                f"--temperature-k: found {self.temperature_k:g}, expected {LOWEST_TEMPERATURE_K:g} to "
                f"{HIGHEST_TEMPERATURE_K:g} kelvin"
            )
        if not 0 < self.coverage < 1:
            raise InputError(f"--coverage: found {self.coverage:g}, expected a fraction between 0 and 1, such as 0.9")
        if self.contributions not in METHODS:
            raise InputError(f"--contributions: found '{self.contributions}', expected one of {', '.join(METHODS)}")


class Predictor:
    """An engine with its training set and the width of its intervals."""

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine, self.options = engine, options
        self.training = TrainingSet(engine.package)
        self.half_width_kcal_mol = engine.package.half_width_kcal_mol(options.coverage)
        self.facts = model_facts(engine.package)

    def predict(self, case: Case) -> Prediction:
        """Everything about one complex.

        Raises InputError where the members cannot read it, CopraError where a number is not finite.
        """
        engine, options, package = self.engine, self.options, self.engine.package
        engine.embed(case.sequences)
        sample = engine.sample(case.interface)
        members = engine.dg_kcal_mol([sample])[:, 0]
        dg, half = float(members.mean()), self.half_width_kcal_mol
        low, high = (dg + side if math.isfinite(half) else math.nan for side in (-half, half))
        kd, kd_low, kd_high = (_kd_molar(value, options.temperature_k) for value in (dg, low, high))
        near = self.training.nearest(*_sides(case), NEIGHBOURS)
        nodes, rows = seen_nodes(case.interface, sample)
        return Prediction(
            chosen=case.chosen,
            dg_kcal_mol=dg,
            dg_low_kcal_mol=low,
            dg_high_kcal_mol=high,
            coverage=options.coverage,
            temperature_k=options.temperature_k,
            kd_molar=kd,
            kd_low_molar=kd_low,
            kd_high_molar=kd_high,
            members_dg_kcal_mol=tuple(members.tolist()),
            warnings=(*self._unlike(case, near, members), *case.warnings),
            nearest_training=tuple((n.record.record_id, n.protein_identity, n.record.dg_kcal_mol) for n in near),
            nearest_rna_identity=tuple(n.rna_identity for n in near),
            training_dg_kcal_mol=self.training.dg_kcal_mol,
            contribution_method=describe_method(options.contributions, len(members)),
            residues=residue_views(case, nodes, self._contributions(sample, rows)),
            contacts=contacts(case, nodes, package.structures.contact_cutoff_angstrom),
            model=self.facts,
        )

    def _contributions(self, sample: Sample, rows: list[int]) -> npt.NDArray[np.float64]:
        """The mean over the members, kcal/mol [rows]; NaN where none was asked for."""
        if self.options.contributions == "none":
            return np.full(len(rows), np.nan)
        found: npt.NDArray[np.float64] = contributions(self.engine, sample, rows, self.options.contributions).mean(0)
        return found

    def _unlike(self, case: Case, near: list[Neighbour], members: npt.NDArray[np.float64]) -> list[str]:
        """How a complex is unlike the training set, or too like it, most serious first."""
        package, told = self.engine.package, []
        same = self.training.same(*_sides(case))
        told += [_seen(record, package, members) for record in same[:SAME_RECORDS]]
        if near[0].protein_identity < FAR_IDENTITY:
            told.append(
                f"no training complex is near: the most alike protein, of {near[0].record.record_id}, is "
                f"{100 * near[0].protein_identity:.0f} % identical, less than {100 * FAR_IDENTITY:.0f} %"
            )
        cutoff_angstrom = package.structures.contact_cutoff_angstrom
        n_touching = int(np.count_nonzero(case.interface.partner_distance_angstrom < cutoff_angstrom))
        least, most = self.training.interface_residues
        if not least <= n_touching <= most:
            told.append(
                f"{counted(n_touching, 'residue')} of this interface within {cutoff_angstrom:g} angstrom of the other "
                f"molecule; those of the training set have {least} to {most}"
            )
        return told + self._of_package()

    def _of_package(self) -> list[str]:
        """What holds for every prediction with this package."""
        package, told = self.engine.package, []
        if not math.isfinite(self.half_width_kcal_mol):
            told.append(
                f"no interval: too few records were predicted by models that had not seen them to calibrate one of "
                f"{100 * self.options.coverage:g} %"
            )
        if package.protocol == "paper":
            told.append("the epochs were chosen on the records that calibrate the interval, so that it is too narrow")
        if package.missing_members:
            n_all = len(package.members) + len(package.missing_members)
            told.append(f"{len(package.missing_members)} of {n_all} models of the ensemble are missing")
        return told


def _seen(record: Record, package: Package, members: npt.NDArray[np.float64]) -> str:
    """That a complex is a training complex, and what the models say that had not seen it."""
    is_unseen = np.array([member.fold == record.fold for member in package.members])
    text = (
        f"these sequences are those of the training complex {record.record_id} (label {record.dg_kcal_mol:.2f} "
        f"kcal/mol), which {int((~is_unseen).sum())} of {len(is_unseen)} models were trained with"
    )
    if not is_unseen.any():
        return text
    mean = float(members[is_unseen].mean())
    return text + f"; without it, the models of fold {record.fold} predict {mean:.2f} kcal/mol"


def _sides(case: Case) -> tuple[list[str], list[str]]:
    """The sequences of the protein and of the RNA chains."""
    proteins, rnas = ([text for kind, text in case.sequences if kind == molecule] for molecule in ("protein", "rna"))
    return proteins, rnas


def _kd_molar(dg_kcal_mol: float, temperature_k: float) -> float:
    """Kd = exp(dG / RT); infinity where no number holds it."""
    try:
        return kd_from_dg(dg_kcal_mol, temperature_k)
    except OverflowError:
        return math.inf
