"""The grammar of affinity text, such as `Kd=12nM`, `IC50<3uM`, `0.20±0.07nM` or `8.6×10–9 M`.

    text        = [ quantity ( relation | space ) | relation ] number [ "±" number ] unit
    quantity    = "Kd" | "Ki" | "IC50" | "Ka" | "Kb"
    relation    = "=" | "<" | ">" | "~" | "<=" | ">="
    number      = decimal [ exponent ] | "10^" integer
    exponent    = "E" integer | "x10^" integer | "x10" sign digits
    unit        = "M" | "mM" | "uM" | "nM" | "pM" | "fM"      (Kd, Ki, IC50)
                | "M-1" | "M^-1"                              (Ka, Kb)

What does not match is refused with a reason code; nothing is guessed. Full-width forms, the two micro signs, raised
digits and typographic dashes are brought to one form first. Spaces may stand anywhere but between two digits, where
one number cannot be told from two; nor is a comma between digits read, which may mean thousands or decimals.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from copra.parse.reasons import NotUnderstood
from copra.units import MOLAR_PER_UNIT


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
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), 0x2060, 0xFEFF])
# a general compatibility fold (NFKC) is not used: it makes "12" of "1②" and "122" of "12₂"
_SAME = _FULL_WIDTH | _INVISIBLE | str.maketrans(
    {
        "μ": "u", "µ": "u", "×": "x", "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "∼": "~", "≈": "~",
        "≤": "<=", "≥": ">=",
    }
)  # fmt: skip
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_EXPONENT = r"(?:[Ee]([+-]?[0-9]{1,3})|[xX]10(?:\^([+-]?[0-9]{1,3})|([+-][0-9]{1,3})))"
_QUANTITY = re.compile(r"(kd|ki|ic50|ka|kb)(?: |(?=[=<>~]))", re.IGNORECASE)
_RELATION = re.compile(r"<=|>=|[=<>~]")
_POWER_OF_TEN = re.compile(r"10\^([+-]?[0-9]{1,3})")
_VALUE = re.compile(rf"({_NUMBER}){_EXPONENT}?(?:(?:±|\+/-|\+-)({_NUMBER}){_EXPONENT}?)?")
_RANGE = re.compile(r"[A-Za-z]*?(?:[-~]|to)[0-9.]")
_ANOTHER_VALUE = re.compile(r"[A-Za-z]*?(?:[,;/|&]|and|or).*[0-9]")
_NAMES = {"kd": "Kd", "ki": "Ki", "ic50": "IC50", "ka": "Ka", "kb": "Ka"}
_MIRRORED = {"=": "=", "~": "~", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_PER_MOLAR = ("M-1", "M^-1")


def canonical(text: str) -> str:
    """The text in one spelling: `u` for micro, `-` for any dash, `^` before raised digits, single plain spaces."""
    text = _RAISED_RUN.sub(lambda run: "^" + run.group().translate(_RAISED), text)
    return " ".join(text.translate(_SAME).split())


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
    if re.search(r"[0-9.] [0-9.]", rest):
        raise NotUnderstood("space_in_number", f"found {text!r}, expected a number without spaces")
    rest = rest.replace(" ", "")
    if re.search(r"[0-9],[0-9]", rest):
        raise NotUnderstood("comma_in_number", f"found {text!r}, expected a number without commas")
    found = _RELATION.match(rest)
    relation = found.group() if found else "="
    value, uncertainty, unit, rule = _value(rest[found.end() :] if found else rest, text)
    if value <= 0:
        raise NotUnderstood("not_positive", f"found {text!r}, expected a value above zero")
    if quantity == "Ka":
        return _from_association(value, uncertainty, unit, relation, text)
    if unit not in MOLAR_PER_UNIT:
        raise _not_a_unit(unit, ", ".join(MOLAR_PER_UNIT), text)
    # decimal arithmetic until the end, so that 12 nM is the double nearest to 12e-9
    factor = Decimal(str(MOLAR_PER_UNIT[unit]))
    spread = None if uncertainty is None else _held(uncertainty * factor, text, lowest=0.0)
    return Affinity(quantity, relation, _held(value * factor, text), spread, rule)


def _value(rest: str, text: str) -> tuple[Decimal, Decimal | None, str, str]:
    """Value, uncertainty, unit text and rule of what follows the relation."""
    power = _POWER_OF_TEN.match(rest)
    if power:
        return _decimal("1", power.group(1)), None, rest[power.end() :], "power_of_ten"
    match = _VALUE.match(rest)
    if not match:
        raise NotUnderstood("no_number", f"found {text!r}, expected a number")
    number, exponent, spread, spread_exponent = match.group(1), _one_of(match, 2), match.group(5), _one_of(match, 6)
    unit = rest[match.end() :]
    if spread is None:
        return _decimal(number, exponent), None, unit, "affinity_text"
    if exponent is None and spread_exponent is not None:
        # `7.8 ± 0.52 E-8 M` is (7.8 ± 0.52) x 10^-8: a value with an error has one scale
        return _decimal(number, spread_exponent), _decimal(spread, spread_exponent), unit, "shared_exponent"
    return _decimal(number, exponent), _decimal(spread, spread_exponent), unit, "affinity_text"


def _one_of(match: re.Match[str], first: int) -> str | None:
    """The exponent in one of the three groups that begin at `first`."""
    return next((group for group in match.groups()[first - 1 : first + 2] if group is not None), None)


def _decimal(number: str, exponent: str | None) -> Decimal:
    return Decimal(number).scaleb(int(exponent or 0))


def _from_association(value: Decimal, uncertainty: Decimal | None, unit: str, relation: str, text: str) -> Affinity:
    if unit not in _PER_MOLAR:
        raise _not_a_unit(unit, _PER_MOLAR[0], text)
    kd = _held(1 / value, text)
    spread = None if uncertainty is None else _held(uncertainty / value / value, text, lowest=0.0)
    return Affinity("Kd", _MIRRORED[relation], kd, spread, "association_constant")


def _held(number: Decimal, text: str, lowest: float = math.ulp(0.0)) -> float:
    """The number as a double that is not below `lowest`; refuses what a double cannot hold."""
    held = float(number)
    if not lowest <= held < math.inf:
        raise NotUnderstood("out_of_range", f"found {text!r}, which is too small or too large to hold")
    return held


def _not_a_unit(unit: str, expected: str, text: str) -> NotUnderstood:
    """The refusal of what stands where the unit should; tells ranges and several values from a wrong unit."""
    if not unit:
        return NotUnderstood("no_unit", f"found {text!r}, expected one of {expected}")
    if unit not in _PER_MOLAR and _RANGE.match(unit):
        return NotUnderstood("range", f"found {text!r}, expected one value")
    if _ANOTHER_VALUE.match(unit):
        return NotUnderstood("several_values", f"found {text!r}, expected one value")
    return NotUnderstood("unknown_unit", f"found {text!r}, expected one of {expected}")
