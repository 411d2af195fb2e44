"""Values as JSON that is safe inside a script: nothing in a manifest can end the script or become code."""

import json
import math
from typing import Any

_MAX_EXACT_INT = 2**53
# "<" could end the script or open a comment; U+2028 and U+2029 end a line in old JavaScript.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def js_literal(value: Any) -> str:
    """The value as compact JSON in ASCII, which is also a JavaScript literal and the content of a script element.

    Numbers that JavaScript cannot hold (NaN, infinities) become null, whole numbers beyond 2**53 become text.
    """
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def significant(value: float | None, digits: int) -> float | int | None:
    """The value rounded to so many significant digits, as the shortest number; None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= _MAX_EXACT_INT else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)
