"""AES of 128 bits in cipher block chaining (FIPS 197), for encrypted test documents only: slow, and open to timing."""

from __future__ import annotations


def _doubled(byte: int) -> int:
    return (byte << 1) ^ (0x11B if byte & 0x80 else 0)


def _substitutions() -> bytes:
    """The substitution box: inverses in GF(2^8), each turned and added up."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= _doubled(value)
    box = bytearray(256)
    for place, power in enumerate(powers):
        inverse = powers[-place % 255]
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> 8 - shift) & 0xFF
        box[power] = turned ^ 0x63
    box[0] = 0x63
    return bytes(box)


_BOX = _substitutions()


def _round_keys(key: bytes) -> list[bytes]:
    words, constant = [key[at : at + 4] for at in range(0, 16, 4)], 1
    for number in range(4, 44):
        word = words[-1]
        if number % 4 == 0:
            word = bytes(_BOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _doubled(constant)
        words.append(_added(words[-4], word))
    return [b"".join(words[at : at + 4]) for at in range(0, 44, 4)]


def _added(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _mixed(column: bytes) -> bytes:
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(column[i] ^ total ^ _doubled(column[i] ^ column[(i + 1) % 4]) for i in range(4))


def _encrypted(keys: list[bytes], block: bytes) -> bytes:
    state = _added(block, keys[0])
    for number, key in enumerate(keys[1:], 1):
        shifted = bytes(_BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if number < 10:
            shifted = b"".join(_mixed(shifted[at : at + 4]) for at in range(0, 16, 4))
        state = _added(shifted, key)
    return state


def aes_cbc(key: bytes, start: bytes, data: bytes) -> bytes:
    """The data, of whole blocks of 16 bytes, encrypted from this starting block on."""
    keys, out = _round_keys(key), [start]
    for at in range(0, len(data), 16):
        out.append(_encrypted(keys, _added(data[at : at + 16], out[-1])))
    return b"".join(out[1:])
