"""Style images painted by our own code: deterministic, and free of other people's rights.

Style transfer copies colours and local texture at every scale and ignores where things are. Each painting is therefore
rich everywhere, from shapes of a hundred pixels down to grain of one or two.
"""

from collections.abc import Callable

from demo.canvas import Pixels
from demo.flow_field import flow_field_strokes
from demo.geometric import geometric_forms
from demo.woodcut import woodcut_waves

PAINTINGS: dict[str, Callable[[], Pixels]] = {
    "flow_field_strokes": flow_field_strokes,
    "geometric_forms": geometric_forms,
    "woodcut_waves": woodcut_waves,
}
