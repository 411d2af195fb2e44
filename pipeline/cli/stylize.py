"""`stylebeam stylize`: makes one picture, without a manifest."""

import argparse
import json

from pipeline.cli.command import Commands, ExitStatus
from pipeline.cli.quiet import import_tensorflow
from pipeline.options import add_settings_option, add_weights_options, parse_settings
from stylecore.config.style_config import StyleConfig


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("stylize", help="make one picture, without a manifest")
    parser.add_argument("content", help="photograph, a path or URI")
    parser.add_argument("style", help="painting, a path or URI")
    parser.add_argument("--output", required=True, metavar="PICTURE.png", help="the picture to write")
    parser.add_argument("--preset", help="named configuration to start from")
    add_settings_option(parser, "a field of the configuration, the value as JSON or text")
    add_weights_options(parser)
    parser.set_defaults(parser=parser, handler=_make_picture)


def _make_picture(known: argparse.Namespace) -> int:
    preset = {"preset": known.preset} if known.preset else {}
    config = StyleConfig.from_dict(parse_settings(known.settings) | preset)
    import_tensorflow()
    from pipeline.cli.progress import IterationBar
    from stylecore.api import stylize
    from stylecore.images.codec import decode_image, encode_png
    from transforms.input_images import MAX_FILE_BYTES
    from transforms.output import storage
    from transforms.output.paths import PNG
    from transforms.output.published_weights import find_weights

    content, style = (decode_image(storage.read_bytes(uri, MAX_FILE_BYTES)) for uri in (known.content, known.style))
    weights = find_weights(config.backbone, config.weights, known.weights_dir, known.weights_source)
    bar = IterationBar(config.iterations)
    try:
        (result,) = stylize(
            [content],
            [style],
            [config],
            weights=weights,
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
