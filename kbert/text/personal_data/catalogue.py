"""The table of all detectors. Where the places of two overlap, the first in the table wins."""

from __future__ import annotations

from kbert.text.personal_data.bank_accounts import IBAN
from kbert.text.personal_data.email_addresses import EMAIL, URL_WITH_USER
from kbert.text.personal_data.identity_numbers import CHINESE_ID, SSN
from kbert.text.personal_data.ip_addresses import IP_ADDRESS
from kbert.text.personal_data.payment_cards import CARD
from kbert.text.personal_data.phone_numbers import PHONE

DETECTORS = {each.name: each for each in (URL_WITH_USER, EMAIL, IBAN, CHINESE_ID, CARD, SSN, IP_ADDRESS, PHONE)}
