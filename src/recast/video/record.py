"""The run's record, as JSON text inside what was written: put in by `write`, read back here."""

import json
from pathlib import Path
from xml.sax.saxutils import escape

from recast.video import isolated
from recast.video.isolated_pictures import facts
from recast.video.sequence import EXTENSIONS, NUMBER, RECORD_NAME

GIF_HEADER_BYTES = 13
GIF_BLOCK_BYTES = 255
COMMENT = b"\x21\xfe"
MOST_BYTES = 2**24
"""Of a record; one of a long request has some thousand."""
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="{kind}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def embedded(path: Path) -> str | None:
    """The record in a video file, a GIF, or beside pictures (for a folder, a pattern or one of them); None without one.

    Raises MediaError where there is no such file, or one that recast does not read.
    """
    path = Path(path)
    if path.is_dir() or NUMBER.search(path.name) or path.suffix.lower() in EXTENSIONS:
        text = _beside(path if path.is_dir() else path.parent)
    elif path.suffix.lower() == ".gif" and path.is_file():
        text = facts(path, ("GIF",)).comment
    else:
        text = isolated.comment(path)
    return text if text and _is_record(text) else None


def _is_record(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _beside(folder: Path) -> str | None:
    path = folder / RECORD_NAME
    try:
        # A pipe would never end, and neither would a link to /dev/zero.
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def commented(path: Path, text: str) -> None:
    """Puts a comment into the GIF at `path`, before its first picture. GIF89a specification, section 24."""
    data, encoded = path.read_bytes(), text.encode("utf-8")
    colours = 3 * 2 ** ((data[10] & 0b111) + 1) if data[10] & 0b1000_0000 else 0
    begin = GIF_HEADER_BYTES + colours
    blocks = [encoded[i : i + GIF_BLOCK_BYTES] for i in range(0, len(encoded), GIF_BLOCK_BYTES)]
    comment = COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    path.write_bytes(data[:begin] + comment + data[begin:])


def described(path: Path, record: str) -> None:
    """Tells the digital source type of a record in XMP too, where catalogues and platforms look for IPTC's.

    For MP4 and MOV at `path`: as a box behind all others, which moves nothing. XMP specification, part 3, MPEG-4.
    """
    kind = json.loads(record).get("digital_source_type") if _is_record(record) else None
    if kind:
        packet = XMP.format(kind=escape(kind, {'"': "&quot;"})).encode()
        with path.open("ab") as file:
            file.write((8 + len(XMP_BOX) + len(packet)).to_bytes(4, "big") + b"uuid" + XMP_BOX + packet)
