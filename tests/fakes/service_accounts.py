"""Service accounts with keys made for the test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

EMAIL = "ocr@made-up.iam.gserviceaccount.com"
KEY_ID = "madeupkid01"


@dataclass(frozen=True, slots=True)
class MadeUpAccount:
    """The private key, and the public one that the servers have, in PEM."""

    private_pem: str = field(repr=False)
    public_pem: str

    def key_file(self, token_uri: str = "https://oauth2.googleapis.com/token") -> str:
        """What Google's console gives out."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "made-up",
                "private_key_id": KEY_ID,
                "private_key": self.private_pem,
                "client_email": EMAIL,
                "client_id": "100000000000000000001",
                "token_uri": token_uri,
            }
        )


def made_up_account() -> MadeUpAccount:
    """A new account; its key takes about a tenth of a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return MadeUpAccount(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )
