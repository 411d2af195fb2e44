"""What both losses compare: features as the network gives them, or their softmax over a whole layer."""

from collections.abc import Callable

import tensorflow as tf

from stylecore.tensors import Features, Images

Extractor = Callable[[Images], dict[str, Features]]


def softmax_map(features: Features) -> Features:
    """Returns sigma(F) = C N exp(F) / sum exp(F), the sum over all C channels and N positions of each picture's layer.

    The mean of the result is 1. Without the factor C N its entries would be so small that gradients underflow.

    Args:
      features: [batch, height, width, channels], in any precision; the result is float32.

    References:
      Wang, Li, Vasconcelos: Rethinking and Improving the Robustness of Image Style Transfer. CVPR 2021, section 5.
    """
    flat = tf.reshape(tf.cast(features, tf.float32), [tf.shape(features)[0], -1])
    entries = tf.cast(tf.shape(flat, out_type=tf.int64)[1], tf.float32)
    return tf.reshape(entries * tf.nn.softmax(flat), tf.shape(features))


def map_features(features: dict[str, Features], feature_map: str) -> dict[str, Features]:
    """Returns features by layer, mapped as `feature_map` says: "none" or "softmax"."""
    if feature_map == "none":
        return features
    return {name: softmax_map(found) for name, found in features.items()}


def mapped(extract: Extractor, feature_map: str) -> Extractor:
    """Returns an extractor of features that are mapped, see `map_features`."""
    return extract if feature_map == "none" else lambda images: map_features(extract(images), feature_map)
