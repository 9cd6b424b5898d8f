"""Text on a terminal: facts as lines of name and value, and text from files with its control characters escaped."""

import unicodedata

_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters (ESC and C1 among them), lone surrogates, and line separators."""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing, by which a name can look like another one."""


def visible(text: str) -> str:
    r"""The text with every character that would steer a terminal written out: ESC as \x1b, a new line as \x0a.

    Names, metadata and records come from files of strangers. A printed ESC could move the cursor, rename the window or
    write the clipboard.
    """
    return "".join(_written_out(each) if _steers(each) else each for each in text)


def tell(facts: dict[str, object], *, title: str = "") -> None:
    """Prints each fact on a line of its own, under the title if there is one."""
    if title:
        print(f"\n{visible(title)}")
    for name, value in facts.items():
        print(visible(f"{name:<18} {_text(value)}".rstrip()))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Prints rows under a head, in columns as wide as their longest text; the last one is as long as it is."""
    shown = [tuple(map(visible, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)][:-1]
    for row in shown:
        print("  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip())


def _steers(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _UNSEEN


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return "; ".join(_text(each) for each in value) or "none"
    return str(value)
