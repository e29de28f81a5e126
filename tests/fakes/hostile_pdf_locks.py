"""PDFs that need a password, by the standard security handler (ISO 32000-1, 7.6; algorithms 1 to 5)."""

from __future__ import annotations

import enum
import hashlib
import struct

from tests.fakes.block_cipher import aes_cbc

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_ID = bytes(range(16))
_ALL_RIGHTS = -4
_CONTENT = b"0 g 20 40 40 30 re f"


class Lock(enum.Enum):
    """A way in which PDFs are encrypted."""

    RC4_40 = "rc4 of 40 bits"
    RC4_128 = "rc4 of 128 bits"
    AES_128 = "aes of 128 bits"


def rc4(key: bytes, data: bytes) -> bytes:
    """RC4, which is its own inverse."""
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def locked_pdf(lock: Lock, user: bytes = b"secret", owner: bytes = b"owner") -> bytes:
    """One page of 120 x 80 points with a black box, encrypted; an empty user password means that anybody may read."""
    version, revision, length = {Lock.RC4_40: (1, 2, 5), Lock.RC4_128: (2, 3, 16), Lock.AES_128: (4, 4, 16)}[lock]
    owner_entry = _rounds(_owner_key(owner, revision, length), _padded(user), revision)
    key = _file_key(user, owner_entry, revision, length)
    if revision == 2:
        user_entry = rc4(key, _PADDING)
    else:
        user_entry = _rounds(key, hashlib.md5(_PADDING + _ID).digest(), revision).ljust(32, b"\0")
    filters = b"/CF<</StdCF<</CFM/AESV2/AuthEvent/DocOpen/Length 16>>>>/StmF/StdCF/StrF/StdCF" if revision == 4 else b""
    encrypt = b"<</Filter/Standard/V %d/R %d/Length %d/P %d/O<%b>/U<%b>%b>>" % (
        version,
        revision,
        length * 8,
        _ALL_RIGHTS,
        owner_entry.hex().encode(),
        user_entry.hex().encode(),
        filters,
    )
    return _document(_sealed(key, 4, lock), encrypt)


def _padded(password: bytes) -> bytes:
    return (password + _PADDING)[:32]


def _owner_key(owner: bytes, revision: int, length: int) -> bytes:
    digest = hashlib.md5(_padded(owner)).digest()
    for _ in range(50 if revision > 2 else 0):
        digest = hashlib.md5(digest).digest()
    return digest[:length]


def _file_key(user: bytes, owner_entry: bytes, revision: int, length: int) -> bytes:
    digest = hashlib.md5(_padded(user) + owner_entry + struct.pack("<i", _ALL_RIGHTS) + _ID).digest()
    for _ in range(50 if revision > 2 else 0):
        digest = hashlib.md5(digest[:length]).digest()
    return digest[:length]


def _rounds(key: bytes, data: bytes, revision: int) -> bytes:
    for turn in range(20 if revision > 2 else 1):
        data = rc4(bytes(byte ^ turn for byte in key), data)
    return data


def _sealed(key: bytes, number: int, lock: Lock) -> bytes:
    """The page's content under the key of its object."""
    salted = key + struct.pack("<I", number)[:3] + bytes(2) + (b"sAlT" if lock is Lock.AES_128 else b"")
    object_key = hashlib.md5(salted).digest()[: min(len(key) + 5, 16)]
    if lock is not Lock.AES_128:
        return rc4(object_key, _CONTENT)
    start = bytes(range(100, 116))
    fill = 16 - len(_CONTENT) % 16
    return start + aes_cbc(object_key, start, _CONTENT + bytes([fill]) * fill)


def _document(content: bytes, encrypt: bytes) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 120 80]/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        encrypt,
    ]
    out, places = b"%PDF-1.6\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    identity = _ID.hex().encode()
    trailer = b"<</Size 6/Root 1 0 R/Encrypt 5 0 R/ID[<%b><%b>]>>" % (identity, identity)
    head = b"xref\n0 6\n0000000000 65535 f \n"
    return out + head + table + b"trailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (trailer, len(out))
