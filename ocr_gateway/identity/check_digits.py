"""Whether numbers on documents hold to their check digits. All take the number without blanks, in capitals."""

from __future__ import annotations

import re

from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from ocr_gateway.model import CheckDigit

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# ICAO 9303-3, 4.9: the weights, and the values of digits, letters and fillers.
_ICAO_WEIGHTS = (7, 3, 1)
_ICAO_VALUES = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {"<": 0}


def verdict(holds: bool) -> CheckDigit:
    """VALID or INVALID."""
    return CheckDigit.VALID if holds else CheckDigit.INVALID


def check_id_number(number: str) -> CheckDigit:
    """Of a Chinese citizen's number: ISO 7064 MOD 11-2, as GB 11643 applies it to 18 characters.

    The older numbers of 15 digits have none. The check finds every single wrong character; the date and the place in
    the number are not looked at.
    """
    if re.fullmatch(r"[0-9]{15}", number):
        return CheckDigit.NOT_APPLICABLE
    return verdict(bool(re.fullmatch(r"[0-9]{17}[0-9X]", number)) and ric.calc_check_digit(number) == number[-1])


def check_credit_code(code: str) -> CheckDigit:
    """Of a unified social credit code: 18 characters, GB 32100. Finds every single wrong character."""
    fits = len(code) == 18 and all(character in _USCC_ALPHABET for character in code)
    return verdict(fits and uscc.calc_check_digit(code[:17]) == code[17])


def check_registration_number(number: str) -> CheckDigit:
    """Of a business registration number of 15 digits: ISO 7064 MOD 11, 10, GS 15. Those of 13 digits have none.

    A credit code in its place is checked as one.
    """
    if len(number) == 18:
        return check_credit_code(number)
    if re.fullmatch(r"[0-9]{13}", number):
        return CheckDigit.NOT_APPLICABLE
    return verdict(bool(re.fullmatch(r"[0-9]{15}", number)) and mod_11_10.is_valid(number))


def check_card_number(number: str) -> CheckDigit:
    """Of a payment card: 12 to 19 digits, Luhn's (ISO/IEC 7812-1). Finds every single wrong digit."""
    return verdict(bool(re.fullmatch(r"[0-9]{12,19}", number)) and luhn.is_valid(number))


def icao_check_digit(text: str) -> str:
    """A machine-readable part's check digit. Raises ValueError for another character than A-Z, 0-9 and <."""
    try:
        total = sum(_ICAO_VALUES[each] * _ICAO_WEIGHTS[place % 3] for place, each in enumerate(text))
    except KeyError as unknown:
        raise ValueError(f"{unknown.args[0]!r} is no character of a machine-readable zone") from None
    return str(total % 10)


def check_icao(text: str, digit: str) -> CheckDigit:
    """Of a part of a machine-readable zone. Finds every digit that stands for another one, and most other mistakes.

    A filler may stand for the check digit of a part that is all fillers (ICAO 9303-4, 4.2.2).
    """
    if digit == "<":
        return verdict(not text.strip("<"))
    try:
        return verdict(icao_check_digit(text) == digit)
    except ValueError:
        return CheckDigit.INVALID
