"""What a measure is, and how its values are written."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A measure. unit: behind the number, empty for a plain one. share: of edits that are right, else a mean.

    heading: of its column or row, its unit included. decimals: that are shown.
    """

    heading: str
    about: str
    unit: Literal["%", "dB", "1e-3", "px", ""]
    better: Literal["higher", "lower"]
    decimals: int = 2
    share: bool = False

    def text(self, value: float) -> str:
        """A value as a table shows it; the heading has the unit, but for %."""
        return self._formatted(value, "")

    def signed(self, value: float) -> str:
        """A difference of values, with its sign."""
        return self._formatted(value, "+")

    def _formatted(self, value: float, sign: str) -> str:
        kind = "%" if self.unit == "%" else "f"
        return f"{value:{sign}.{self.decimals}{kind}}".replace("%", " %")
