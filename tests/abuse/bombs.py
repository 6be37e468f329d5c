"""Files that are small and announce much."""

from __future__ import annotations

import struct
import zlib


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int, *more: bytes) -> bytes:
    """A PNG of a few bytes that announces a huge picture; ``more``: chunks in between."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + end


def texts(count: int, size: int) -> list[bytes]:
    """Compressed text chunks that unpack to ``count`` times ``size`` bytes."""
    packed = zlib.compress(b"a" * size, 9)
    return [chunk(b"zTXt", b"synth\0\0" + packed) for _ in range(count)]


def profile(size: int) -> bytes:
    """A colour profile that unpacks to ``size`` bytes."""
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(b"a" * size, 9))


def gif(width: int, height: int, frames: int = 1) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b"\x3b"


def tiff(width: int, height: int, pages: int = 1) -> bytes:
    """Pages of one strip each, which lies at the beginning of the file."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: 64}
    size, directories = 2 + 12 * len(tags) + 4, []
    for page in range(pages):
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
        following = 8 + (page + 1) * size if page + 1 < pages else 0
        directories.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", following))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(directories)


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def webp(width: int, height: int) -> bytes:
    """A still picture of the lossless kind, cut off after its size."""
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + bytes(20)
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int) -> bytes:
    """The headers of a grey picture, without its data."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    table = b"\xff\xdb\x00\x43\x00" + b"\x01" * 64
    return b"\xff\xd8" + table + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\xff\xd9"
