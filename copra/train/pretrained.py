"""A pre-trained Co-Former to start fine-tuning from: is it the model, and may this fold see it?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from copra.config_experiments import Network, Neural
from copra.config_model import Architecture, Coformer
from copra.errors import InputError
from copra.files import sha256_of_file
from copra.model.coformer import Coformer as CoformerModel
from copra.model.coformer import shape_of
from copra.model.design import design_name

PREFIX = "coformer."
NEEDED = ("recipe", "scope", "purged", "settings", "language_models", "protein_lm_width", "rna_lm_width")
MAY_DIFFER = {"dropout", "head_width"}  # no weight of Co-Former depends on them


@dataclass(frozen=True)
class Pretrained:
    """Weights of Co-Former and where they come from."""

    path: Path
    recipe: str
    scope: str  # fold_{k}: pairs without relatives of that fold; all: every pair
    sha256: str
    weights: dict[str, Tensor]

    @property
    def is_purged(self) -> bool:
        """Whether relatives of the tested complexes were kept out of the pre-training."""
        return self.scope != "all"

    def description(self) -> dict[str, str]:
        """What model.json says of it."""
        return {"recipe": self.recipe, "scope": self.scope, "sha256": self.sha256}

    def put_into(self, model: CoformerModel) -> None:
        """Overwrite all weights of `model`; raises InputError where names or shapes are others."""
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in self.weights.items()}
        if found != expected:
            wrong = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
            told = "; ".join(f"{n}: found {found.get(n)}, expected {expected.get(n)}" for n in wrong[:3])
            raise InputError(f"{self.path}: {len(wrong)} weights do not fit Co-Former: {told}")
        model.load_state_dict(self.weights, strict=True)


def architecture_text(experiment: Neural, pretrained: Pretrained | None) -> str:
    """How results name the model: "official", "official pre-trained by cpri_midm", "gcn layers=3 width=128"."""
    if not isinstance(experiment, Coformer):
        common = {*Network.model_fields, "model", "nodes"}
        sizes = {key: value for key, value in experiment.model_dump().items() if key not in common}
        return " ".join([experiment.model, *(f"{key}={value}" for key, value in sizes.items())])
    name = design_name(experiment.preset, experiment.switches)
    without = [key for key in ("pair_information", "special_nodes") if not getattr(experiment, key)]
    name += "".join(f" without {key.replace('_', ' ')}" for key in without)
    if pretrained is None:
        return name
    seen = "" if pretrained.is_purged else " (which saw relatives of the tested complexes)"
    return f"{name} pre-trained by {pretrained.recipe}{seen}"


def read_pretrained(
    path: Path | None, experiment: Neural, lm_widths: tuple[int, int], language_models: str, fold: int
) -> Pretrained | None:
    """The pre-trained model that the experiment starts from, `path` with model.json beside it; None from scratch.

    `language_models` and `lm_widths` tell the embeddings at hand. Raises InputError where the file is of another
    recipe, architecture, design or language model, or its pairs were not purged for this fold.
    """
    if path is None or not isinstance(experiment, Coformer) or experiment.pretrained is None:
        expected_start = getattr(experiment, "pretrained", None)
        if path is not None or expected_start is not None:
            raise InputError(f"the experiment starts from '{expected_start}', the file given is '{path}'")
        return None
    told = _read_description(path.with_name("model.json"))
    found, expected = _told_identity(told, path), _identity(experiment, lm_widths, experiment.pretrained)
    expected["language models"], found["language models"] = language_models, told["language_models"]
    wrong = [
        f"{name} {found[name]!r}, expected {expected[name]!r}" for name in expected if found[name] != expected[name]
    ]
    if wrong:
        raise InputError(f"{path}: not the model that the experiment starts from; found {'; '.join(wrong)}")
    scopes = {f"fold_{fold}": "relatives of the test fold", "all": "nothing"}
    if scopes.get(told["scope"]) != told["purged"]:
        raise InputError(
            f"{path}: pre-trained for the scope '{told['scope']}', purged of {told['purged']}; expected "
            + " or ".join(f"'{scope}', purged of {what}" for scope, what in scopes.items())
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file: {error}") from error
    weights = {name.removeprefix(PREFIX): t for name, t in tensors.items() if name.startswith(PREFIX)}
    return Pretrained(path, told["recipe"], told["scope"], sha256_of_file(path), weights)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a JSON object: {error}") from error
    missing = [name for name in NEEDED if not isinstance(told, dict) or name not in told]
    if missing:
        raise InputError(f"{path}: does not describe a pre-trained model; lacks {missing}")
    return dict(told)


def _told_identity(told: dict[str, Any], path: Path) -> dict[str, Any]:
    settings = {name: value for name, value in told["settings"].items() if name in Architecture.model_fields}
    try:
        architecture = Architecture(**settings)
    except (ValidationError, TypeError) as error:
        raise InputError(f"{path.with_name('model.json')}: settings are not an architecture: {error}") from error
    return _identity(architecture, (int(told["protein_lm_width"]), int(told["rna_lm_width"])), str(told["recipe"]))


def _identity(architecture: Architecture, lm_widths: tuple[int, int], recipe: str) -> dict[str, Any]:
    """What two models must share for the weights of one to mean the same in the other."""
    shape = asdict(shape_of(architecture, 0, *lm_widths))
    del shape["design"]
    sizes = {name: value for name, value in shape.items() if name not in MAY_DIFFER}
    return {"recipe": recipe, "design": design_name(architecture.preset, architecture.switches), **sizes}
