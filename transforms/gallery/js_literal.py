"""js_literal: values -> JSON that is safe inside a script, so that nothing in a manifest ends it or becomes code."""

import json
import math
from typing import Any

_MAX_EXACT_INT = 2**53
# "<" could end the script or open a comment; U+2028 and U+2029 end a line in old JavaScript.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def js_literal(value: Any) -> str:
    """Returns compact JSON in ASCII, which may stand in a script as a literal and in a script element as its content.

    Numbers that JSON cannot hold (NaN, infinities) become null; whole numbers beyond 2**53, which JavaScript cannot
    hold exactly, become text.
    """
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def significant(value: float | None, digits: int) -> float | int | None:
    """Returns the value rounded to `digits` significant digits, whole numbers as int; None if it is not finite."""
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
