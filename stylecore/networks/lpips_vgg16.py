"""The network that measures pictures: VGG16 with the heads by which LPIPS weighs the channels of its layers."""

import keras

from stylecore.networks.layers import LPIPS_NETWORK

# Where LPIPS looks: the ends of the blocks, each with half the side of the one before.
LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")
HEADS = tuple(f"lpips_head{block}" for block in range(1, 6))


def build_lpips_vgg16() -> keras.Model:
    """Returns the untrained network, for images of any size.

    A head is a 1x1 convolution to one channel without bias. LPIPS applies it to squared differences of features, which
    `stylecore.measures.network` does; here it only holds the weights.
    """
    vgg16 = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    heads = [
        keras.layers.Conv2D(1, 1, use_bias=False, name=head)(vgg16.get_layer(layer).output)
        for head, layer in zip(HEADS, LAYERS, strict=True)
    ]
    return keras.Model(vgg16.inputs, heads, name=LPIPS_NETWORK)
