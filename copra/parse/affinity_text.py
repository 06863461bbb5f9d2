"""The grammar of affinity text, such as `Kd=12nM`, `IC50<3uM`, `0.20±0.07nM` or `8.6×10–9 M`.

    text        = [ quantity ] [ relation ] number [ "±" number ] unit
    quantity    = "Kd" | "Ki" | "IC50" | "Ka" | "Kb"
    relation    = "=" | "<" | ">" | "~" | "<=" | ">="
    number      = decimal [ exponent ] | "10^" integer
    exponent    = "E" integer | "x10" [ "^" ] integer
    unit        = "M" | "mM" | "uM" | "nM" | "pM" | "fM"      (Kd, Ki, IC50)
                | "M-1" | "M^-1"                              (Ka, Kb)

What does not match is refused with a reason code; nothing is guessed. Spaces, full-width forms, the two
micro signs, raised digits and typographic dashes are brought to one form first.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from copra.units import MOLAR_PER_UNIT


class NotUnderstood(Exception):
    """A cell that the grammar refuses; `reason` is a code, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Affinity:
    """One value as the text states it; `value_molar` and `uncertainty_molar` are in mol/l."""

    quantity: str
    relation: str
    value_molar: float
    uncertainty_molar: float | None
    rule: str


_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_SAME = str.maketrans(
    {"μ": "u", "×": "x", "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "∼": "~", "≈": "~", "≤": "<=", "≥": ">="}
)
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_EXPONENT = r"(?:[Ee]([+-]?[0-9]{1,3})|[xX]10\^?([+-]?[0-9]{1,3}))"
_QUANTITY = re.compile(r"(kd|ki|ic50|ka|kb)(?=[=<>~0-9.])", re.IGNORECASE)
_RELATION = re.compile(r"<=|>=|[=<>~]")
_POWER_OF_TEN = re.compile(r"10\^([+-]?[0-9]{1,3})")
_VALUE = re.compile(rf"({_NUMBER}){_EXPONENT}?(?:(?:±|\+/-|\+-)({_NUMBER}){_EXPONENT}?)?")
_NAMES = {"kd": "Kd", "ki": "Ki", "ic50": "IC50", "ka": "Ka", "kb": "Ka"}
_MIRRORED = {"=": "=", "~": "~", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def canonical(text: str) -> str:
    """The text in one spelling: no spaces, `u` for micro, `-` for any dash, `^` before raised digits."""
    text = _RAISED_RUN.sub(lambda run: "^" + run.group().translate(_RAISED), text)
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    return "".join(text.split())


def parse_affinity_text(text: str, *, quantity: str | None) -> Affinity:
    """Read one affinity text; `quantity` is what the column says where the text names none.

    Returns the value in mol/l (an association constant is turned into Kd = 1/Ka). Raises NotUnderstood.
    """
    rest = canonical(text)
    if not rest:
        raise NotUnderstood("empty", "no text")
    named = _QUANTITY.match(rest)
    if named:
        quantity, rest = _NAMES[named.group(1).lower()], rest[named.end() :]
    elif quantity is None:
        raise NotUnderstood("no_quantity", f"found {text!r}, expected Kd, Ki, IC50 or Ka before the value")
    found = _RELATION.match(rest)
    relation = found.group() if found else "="
    rest = rest[found.end() :] if found else rest
    value, uncertainty, unit, rule = _value(rest, text)
    if value <= 0:
        raise NotUnderstood("not_positive", f"found {text!r}, expected a value above zero")
    if quantity == "Ka":
        return _from_association(value, uncertainty, unit, relation, text)
    if unit not in MOLAR_PER_UNIT:
        raise NotUnderstood("no_unit" if not unit else "unknown_unit", f"found {text!r}, expected {_units()}")
    # decimal arithmetic until the end, so that 12 nM is the double nearest to 12e-9
    factor = Decimal(str(MOLAR_PER_UNIT[unit]))
    molar = float(value * factor)
    if not 0.0 < molar < math.inf:
        raise NotUnderstood("not_positive", f"found {text!r}, which is too small or too large to hold")
    return Affinity(quantity, relation, molar, None if uncertainty is None else float(uncertainty * factor), rule)


def _value(rest: str, text: str) -> tuple[Decimal, Decimal | None, str, str]:
    """Value, uncertainty, unit text and rule of what follows the relation."""
    power = _POWER_OF_TEN.match(rest)
    if power:
        return _decimal("1", power.group(1)), None, rest[power.end() :], "power_of_ten"
    match = _VALUE.match(rest)
    if not match:
        raise NotUnderstood("no_number", f"found {text!r}, expected a number")
    unit = rest[match.end() :]
    if re.match(r"[A-Za-z]*[-~]\d", unit) and not re.match(r"M-1$", unit):
        raise NotUnderstood("range", f"found {text!r}, expected one value")
    number, exponent, spread, spread_exponent = match.group(1), _one_of(match, 2), match.group(4), _one_of(match, 5)
    if spread is None:
        return _decimal(number, exponent), None, unit, "affinity_text"
    if exponent is None and spread_exponent is not None:
        # `7.8 ± 0.52 E-8 M` is (7.8 ± 0.52) x 10^-8: a value with an error has one scale
        return _decimal(number, spread_exponent), _decimal(spread, spread_exponent), unit, "shared_exponent"
    return _decimal(number, exponent), _decimal(spread, spread_exponent), unit, "affinity_text"


def _one_of(match: re.Match[str], first: int) -> str | None:
    return match.group(first) or match.group(first + 1)


def _decimal(number: str, exponent: str | None) -> Decimal:
    return Decimal(number).scaleb(int(exponent or 0))


def _from_association(value: Decimal, uncertainty: Decimal | None, unit: str, relation: str, text: str) -> Affinity:
    if unit not in ("M-1", "M^-1"):
        raise NotUnderstood("no_unit" if not unit else "unknown_unit", f"found {text!r}, expected M-1")
    kd = float(1 / value)
    spread = None if uncertainty is None else kd * float(uncertainty / value)
    return Affinity("Kd", _MIRRORED[relation], kd, spread, "association_constant")


def _units() -> str:
    return "one of " + ", ".join(MOLAR_PER_UNIT)
