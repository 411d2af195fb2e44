"""Names for the tensors that functions take and return: what each holds, its shape and its range.

TensorFlow ships no type information, so to a type checker every one of them is Any; to a reader the name says more.
Wherever a name says float32, the values are float32 at every precision of the convolutions; features come in their
layer's precision.
"""

from typing import Any

# A TensorFlow tensor, or the NumPy array that becomes one.
Tensor = Any

# Pictures or images, [batch, height, width, 3] float32: RGB in 0..255.
Images = Tensor
# The gradient of each picture's total loss to its pixels, [batch, height, width, 3] float32, any sign.
Gradients = Tensor
# Activations of one layer, [batch, height, width, channels], height and width being the layer's own; float32 or
# bfloat16, as the layer computes. As targets they are float32.
Features = Tensor
# Position-normalised Gram matrices of one layer, [batch, channels, channels] float32, symmetric; with guides
# [batch, regions, channels, channels].
GramMatrices = Tensor

# One number per picture, [batch] float32: a loss, a weight, a step length.
PerPicture = Tensor
# One whole number per picture, [batch] int32: an iteration, a status, a count.
CountPerPicture = Tensor
# One decision per picture, [batch] bool.
MaskPerPicture = Tensor
# One weight per picture and region, [batch, regions] float32, >= 0; 0 for regions that fill the batch up.
WeightsPerRegion = Tensor
# One weight per picture and layer, [batch, layers] float32, >= 0, the layers sorted by name.
LayerWeightsPerPicture = Tensor
# A ring of the pictures' latest differences, [batch, history, height, width, 3] float32.
Histories = Tensor
