"""The canonical names of fields: the one list that every provider's own names are mapped to."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ocr_gateway.model import IdDocument


class FieldName(enum.StrEnum):
    """What a field of an identity document is called, whoever read it. ``normalise`` has the form of each value."""

    DOCUMENT_TYPE = "document_type"
    """What the document is: the value of an IdDocument, or in lower snake case what else a provider calls it."""

    # Persons: identity cards, passports, driving licences.
    NAME = "name"
    """The full name, as printed in one piece."""
    SURNAME = "surname"
    """The family name."""
    GIVEN_NAMES = "given_names"
    """The given names; the middle one apart where a provider states it apart."""
    MIDDLE_NAME = "middle_name"
    """The middle name, where it is stated apart."""
    NAME_SUFFIX = "name_suffix"
    """What follows a name: JR, III."""
    SEX = "sex"
    """M, F, or X (not stated), as in ICAO 9303."""
    ETHNICITY = "ethnicity"
    """The ethnic group, without 族."""
    BIRTH_DATE = "birth_date"
    """The date of birth."""
    PLACE_OF_BIRTH = "place_of_birth"
    """The place of birth."""
    ADDRESS = "address"
    """The address in one piece: of a person, or of a company's seat."""
    CITY = "city"
    """The city of the address, where it is stated apart."""
    REGION = "region"
    """The state or province of the address, where it is stated apart."""
    COUNTY = "county"
    """The county of the address, where it is stated apart."""
    POSTAL_CODE = "postal_code"
    """The postal code of the address, where it is stated apart."""
    NATIONALITY = "nationality"
    """The holder's nationality: the ICAO 9303 code in a machine-readable zone."""
    ID_NUMBER = "id_number"
    """The citizen's number of a Chinese identity card, with its check character."""
    PERSONAL_NUMBER = "personal_number"
    """A passport's personal number, or a card's optional data."""
    EYE_COLOUR = "eye_colour"
    """The colour of the eyes."""
    HAIR_COLOUR = "hair_colour"
    """The colour of the hair."""
    HEIGHT = "height"
    """The holder's height, as printed."""
    WEIGHT = "weight"
    """The holder's weight, as printed."""
    VETERAN = "veteran"
    """A veteran's mark."""

    # The document itself.
    DOCUMENT_NUMBER = "document_number"
    """The number of a passport, of a card with a machine-readable zone, or of a driving licence."""
    DOCUMENT_DISCRIMINATOR = "document_discriminator"
    """The second number of a driving licence."""
    ISSUING_COUNTRY = "issuing_country"
    """The issuing state: the ICAO 9303 code in a machine-readable zone."""
    ISSUING_REGION = "issuing_region"
    """The issuing state or province of a country."""
    ISSUING_AUTHORITY = "issuing_authority"
    """The office that issued the document."""
    VALID_FROM = "valid_from"
    """The day from which it is valid; of a document that states only its day of issue, that."""
    VALID_UNTIL = "valid_until"
    """The last day, or of a bank card the last month, of validity; empty for one without end."""
    MRZ = "mrz"
    """The machine-readable zone: its lines, separated by newlines, with repaired characters."""
    VEHICLE_CLASS = "vehicle_class"
    """The classes of a driving licence."""
    ENDORSEMENTS = "endorsements"
    """The endorsements of a driving licence."""
    RESTRICTIONS = "restrictions"
    """The restrictions of a driving licence."""

    # Business licences.
    CREDIT_CODE = "credit_code"
    """The unified social credit code, with its check character."""
    REGISTRATION_NUMBER = "registration_number"
    """The registration number of older licences, 15 digits with a check digit."""
    CERTIFICATE_NUMBER = "certificate_number"
    """The number of the certificate itself."""
    COMPANY_NAME = "company_name"
    """The name of the company or the business."""
    COMPANY_TYPE = "company_type"
    """Its legal type: 有限责任公司."""
    BUSINESS_FORM = "business_form"
    """The form of organisation of a sole trader: 个人经营."""
    LEGAL_REPRESENTATIVE = "legal_representative"
    """The legal representative, the person in charge, or the operator."""
    REGISTERED_CAPITAL = "registered_capital"
    """The registered capital, as printed, in words or figures."""
    PAID_IN_CAPITAL = "paid_in_capital"
    """The capital that was paid in, as printed."""
    ESTABLISHED_DATE = "established_date"
    """The day of foundation, or of registration where only that is printed."""
    REGISTRATION_DATE = "registration_date"
    """The day on which this licence was issued or approved."""
    BUSINESS_SCOPE = "business_scope"
    """What it may do."""

    # Bank cards.
    CARD_NUMBER = "card_number"
    """The card's number, with its check digit."""
    CARD_TYPE = "card_type"
    """debit, credit, semi_credit or prepaid."""
    CARD_NAME = "card_name"
    """The product: 牡丹灵通卡."""
    BANK_NAME = "bank_name"
    """The issuing bank."""
    HOLDER_NAME = "holder_name"
    """The holder's name."""


_N = FieldName

FIELDS_OF: Mapping[IdDocument, tuple[FieldName, ...]] = {
    IdDocument.IDENTITY_CARD: (
        _N.DOCUMENT_TYPE, _N.NAME, _N.SEX, _N.ETHNICITY, _N.BIRTH_DATE, _N.ADDRESS, _N.ID_NUMBER,
        _N.ISSUING_AUTHORITY, _N.VALID_FROM, _N.VALID_UNTIL,
    ),
    IdDocument.BUSINESS_LICENCE: (
        _N.DOCUMENT_TYPE, _N.CREDIT_CODE, _N.REGISTRATION_NUMBER, _N.CERTIFICATE_NUMBER, _N.COMPANY_NAME,
        _N.COMPANY_TYPE, _N.BUSINESS_FORM, _N.LEGAL_REPRESENTATIVE, _N.REGISTERED_CAPITAL, _N.PAID_IN_CAPITAL,
        _N.ESTABLISHED_DATE, _N.VALID_FROM, _N.VALID_UNTIL, _N.ADDRESS, _N.BUSINESS_SCOPE, _N.ISSUING_AUTHORITY,
        _N.REGISTRATION_DATE,
    ),
    IdDocument.BANK_CARD: (
        _N.DOCUMENT_TYPE, _N.CARD_NUMBER, _N.VALID_UNTIL, _N.CARD_TYPE, _N.CARD_NAME, _N.BANK_NAME, _N.HOLDER_NAME,
    ),
    IdDocument.PASSPORT: (
        _N.DOCUMENT_TYPE, _N.ISSUING_COUNTRY, _N.SURNAME, _N.GIVEN_NAMES, _N.DOCUMENT_NUMBER, _N.NATIONALITY,
        _N.BIRTH_DATE, _N.SEX, _N.VALID_FROM, _N.VALID_UNTIL, _N.PERSONAL_NUMBER, _N.PLACE_OF_BIRTH,
        _N.ISSUING_AUTHORITY, _N.MRZ,
    ),
}  # fmt: skip
"""The fields of each document that a request can ask for, in the order in which they are answered."""

DRIVING_LICENCE_FIELDS: tuple[FieldName, ...] = (
    _N.DOCUMENT_TYPE, _N.ISSUING_COUNTRY, _N.ISSUING_REGION, _N.SURNAME, _N.GIVEN_NAMES, _N.MIDDLE_NAME,
    _N.NAME_SUFFIX, _N.DOCUMENT_NUMBER, _N.DOCUMENT_DISCRIMINATOR, _N.BIRTH_DATE, _N.SEX, _N.VALID_FROM,
    _N.VALID_UNTIL, _N.ADDRESS, _N.CITY, _N.REGION, _N.COUNTY, _N.POSTAL_CODE, _N.PLACE_OF_BIRTH, _N.VEHICLE_CLASS,
    _N.ENDORSEMENTS, _N.RESTRICTIONS, _N.EYE_COLOUR, _N.HAIR_COLOUR, _N.HEIGHT, _N.WEIGHT, _N.VETERAN,
)  # fmt: skip
"""The fields of the driving licences and state cards that the readers of US documents answer besides passports."""
