"""Photographs to stylise, taken from inside the scikit-image wheel, so that the demo needs no download.

| name      | shows                       | source, as scikit-image documents it        | licence       |
|-----------|-----------------------------|---------------------------------------------|---------------|
| `chelsea` | the face of a cat           | Stefan van der Walt                         | CC0           |
| `coffee`  | a red cup on a wooden table | Rachel Michetti, for Pikolo Espresso Bar    | CC0           |
| `rocket`  | a Falcon 9 at dusk          | SpaceX Photos on Flickr, photo 16511594820  | public domain |

They were chosen for their large clear shapes, which remain visible at 192 pixels.
"""

from collections.abc import Callable
from functools import partial
from importlib.resources import files

import numpy as np
from PIL import Image

from demo.canvas import Pixels


def read_from_wheel(file_name: str) -> Pixels:
    """RGB pixels [height, width, 3], uint8, of a picture in scikit-image's data folder.

    The file is opened directly: `skimage.data` would try to download one that is missing.
    """
    with (files("skimage") / "data" / file_name).open("rb") as file, Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


PHOTOGRAPHS: dict[str, Callable[[], Pixels]] = {
    "chelsea": partial(read_from_wheel, "chelsea.png"),
    "coffee": partial(read_from_wheel, "coffee.png"),
    "rocket": partial(read_from_wheel, "rocket.jpg"),
}
