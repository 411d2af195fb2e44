"""`stylebeam stylize`: makes one picture, without a manifest."""

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.cli.command import Commands, ExitStatus
from pipeline.cli.quiet import import_tensorflow
from pipeline.options import (
    OptionError,
    add_settings_option,
    add_tiles_option,
    add_weights_options,
    number_or_none,
    parse_settings,
    path_or_none,
    positive_number,
)
from stylecore.config.style_config import StyleConfig

if TYPE_CHECKING:
    import numpy as np

    from stylecore import Style


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("stylize", help="make one picture, without a manifest")
    parser.add_argument("content", metavar="CONTENT", help="photograph, a path or URI")
    parser.add_argument("style", nargs="+", metavar="STYLE", help="paintings, paths or URIs")
    parser.add_argument("--output", required=True, metavar="PICTURE.png", help="the picture to write")
    parser.add_argument("--preset", help="named configuration to start from")
    add_settings_option(parser, "a field of the configuration, the value as JSON or text")
    for option, metavar, parse, meaning in _OF_STYLES:
        parser.add_argument(
            f"--{option}",
            action="append",
            type=parse,
            metavar=metavar,
            help=f"{meaning}; once for each style, in their order, none leaves it out",
        )
    parser.add_argument("--initial", metavar="P", help="start from this picture: implies --set init=image")
    parser.add_argument(
        "--device_memory_gb", type=positive_number, metavar="GB", help="memory to stay within (default: this machine's)"
    )
    add_tiles_option(parser)
    add_weights_options(parser)
    parser.set_defaults(parser=parser, handler=_make_picture)


_OF_STYLES: tuple[tuple[str, str, Callable[[str], Any], str], ...] = (
    ("style_weight", "W", number_or_none, "the weight of a style (default: 1)"),
    ("scale", "S", number_or_none, "with style_fit keep: a style's longest side over the result's"),
    ("content_mask", "M", path_or_none, "where in the content a style applies, a grey picture, white = yes"),
    ("style_mask", "M", path_or_none, "where in a style its statistics come from, likewise"),
)


def _make_picture(known: argparse.Namespace) -> int:
    config, entries = _config(known), _style_entries(known)
    import_tensorflow()
    from pipeline.cli.progress import IterationBar
    from stylecore.api import stylize
    from stylecore.images.codec import encode_png
    from transforms.output import storage
    from transforms.output.paths import PNG
    from transforms.output.published_weights import find_weights

    content, styles = _image(known.content), [_style(entry) for entry in entries]
    initial = None if known.initial is None else _image(known.initial)
    weights = find_weights(config.backbone, config.weights, known.weights_dir, known.weights_source)
    bar = IterationBar(config.iterations)
    try:
        (result,) = stylize(
            [content],
            [styles],
            [config],
            initials=[initial],
            weights=weights,
            memory_bytes=None if known.device_memory_gb is None else int(known.device_memory_gb * 1e9),
            tile_px=known.tile_px,
            on_progress=lambda state: bar.show(int(state.iterations[0]), state.median_losses()),
        )
    finally:
        bar.close()
    if result.error is not None or result.image is None:
        raise result.error or RuntimeError("no picture")
    record = {"config": config.to_dict(), "loss_total": result.loss_total, "weights_sha256": weights.fingerprint}
    storage.write(known.output, encode_png(result.image, json.dumps(record)), PNG)
    print(
        f"{known.output}: {result.iterations} iterations, total loss {result.loss_total:.6g} "
        f"(content {result.loss_content:.6g}, style {result.loss_style:.6g}, tv {result.loss_tv:.6g})"
    )
    return ExitStatus.DONE


def _config(known: argparse.Namespace) -> StyleConfig:
    preset = {"preset": known.preset} if known.preset else {}
    start = {} if known.initial is None else {"init": "image"}
    return StyleConfig.from_dict(start | parse_settings(known.settings) | preset)


def _style_entries(known: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns what is said of each style, by the names of Style's attributes.

    Raises:
      OptionError: an option is not given once for each style.
    """
    entries = [{"image": uri} for uri in known.style]
    for option, *_ in _OF_STYLES:
        values = getattr(known, option)
        if values is None:
            continue
        if len(values) != len(entries):
            raise OptionError(f"--{option} must be given once for each style, {len(entries)}, got {len(values)}")
        name = "weight" if option == "style_weight" else option
        for entry, value in zip(entries, values, strict=True):
            entry.update({} if value is None else {name: value})
    return entries


def _style(entry: dict[str, Any]) -> "Style":
    from stylecore import Style

    images = {name: _image(value) for name, value in entry.items() if isinstance(value, str)}
    try:
        return Style(**{**entry, **images})
    except ValueError as error:
        raise OptionError(f"{entry['image']}: {error}") from error


def _image(uri: str) -> "np.ndarray":
    from stylecore.images.codec import ImageError, decode_image
    from transforms.input_images import MAX_FILE_BYTES
    from transforms.output import storage

    try:
        return decode_image(storage.read_bytes(uri, MAX_FILE_BYTES))
    except ImageError as error:
        raise ImageError(f"{uri}: {error}") from error
