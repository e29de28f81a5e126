"""Tokens of a service account: made here, or exchanged for at Google's token endpoint.

Source: RFC 7523; google.aip.dev/auth/4111 for tokens that are made here ("self-signed JWT").
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from google.auth import crypt, jwt

from ocr_gateway.providers.http import HttpAnswer, HttpClient, HttpFailure
from ocr_gateway.providers.remote.token_keeper import KeysRejected, Token, TokenFailed

AUDIENCE = "https://vision.googleapis.com/"
"""Of tokens that are made here; the same for every location."""
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
"""Of assertions, wherever they are sent: as google-auth has it."""
SCOPE = "https://www.googleapis.com/auth/cloud-vision"
LIFETIME_S = 3600
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
