"""The method's mathematics a second time, in NumPy float64, straight from the printed formulas.

Nothing here imports the code under test. The formulas are those of Gatys, Ecker and Bethge, "Image Style Transfer
Using Convolutional Neural Networks" (CVPR 2016), with the reductions and the normalisation the project documents.
Images are `[height, width, 3]`, RGB in 0..255; features are `[height, width, channels]`.
"""

import numpy as np

IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68])


def gram_matrix(features):
    """Gram matrix `[channels, channels]` of `features` `[h, w, channels]`: G_ij = sum_k F_ik F_jk over positions k."""
    columns = np.asarray(features, np.float64).reshape(-1, np.shape(features)[-1])
    return columns.T @ columns


def content_loss(features, target, kind="l2", reduction="sum"):
    """Content loss of one layer, both `[h, w, c]`.

    `sum`: l2 1/2 sum (F - P)^2, l1 sum |F - P|. `mean`: mean (F - P)^2, mean |F - P|.
    """
    difference = np.asarray(features, np.float64) - np.asarray(target, np.float64)
    terms = {"l2": difference**2, "l1": np.abs(difference)}[kind]
    if reduction == "mean":
        return terms.mean()
    return terms.sum() * {"l2": 0.5, "l1": 1.0}[kind]


def style_loss_layer(features, styles, reduction="sum"):
    """Style loss of one layer: E = 1 / (4 N^2) sum_ij (G_ij / M_x - A_ij)^2, under `mean` divided by N^2 again.

    `features` is `[h, w, N]`; `styles` is a list of (`[h', w', N]`, weight); A = sum_s weight_s G^s / M_s, where M is
    a feature map's number of positions. With equal sizes and one style: 1 / (4 N^2 M^2) sum_ij (G_ij - A_ij)^2.
    """
    height, width, channels = np.shape(features)
    target = sum(weight * gram_matrix(s) / (np.shape(s)[0] * np.shape(s)[1]) for s, weight in styles)
    squares = (gram_matrix(features) / (height * width) - target) ** 2
    energy = squares.sum() / (4 * channels**2)
    return energy / channels**2 if reduction == "mean" else energy


def guided_gram(features, mask):
    """(T o F)^T (T o F) / N of `features` `[h, w, c]` at N positions; T is `mask` `[h, w]` over its root mean square.

    Without a mask T is 1.
    """
    mask = np.ones(np.shape(features)[:2]) if mask is None else np.asarray(mask, np.float64)
    return gram_matrix((mask / np.sqrt(np.mean(mask**2)))[..., np.newaxis] * features) / mask.size


def guided_style_loss_layer(features, styles, reduction="sum"):
    """Style loss of one layer where styles have masks, with Gram matrices guided by them.

    `styles` is a list of (`[h', w', N]`, weight, content mask `[h, w]`, style mask `[h', w']`), masks at the layer's
    positions or None. Without content masks it is E = 1 / (4 N^2) sum_ij (G_ij - A_ij)^2, A = sum_s weight_s G^s. With
    them styles of the same content mask form a region: sum_r W_r E_r, W the sum of its styles' weights, by which those
    are divided in A. Under `mean` E is divided by N^2 again.
    """
    regions: dict[bytes | None, list] = {}
    for style in styles:
        regions.setdefault(None if style[2] is None else np.asarray(style[2]).tobytes(), []).append(style)
    channels, total = np.shape(features)[-1], 0.0
    for members in regions.values():
        sums_to = 1.0 if set(regions) == {None} else sum(weight for _, weight, _, _ in members)
        target = sum(weight / sums_to * guided_gram(painted, mask) for painted, weight, _, mask in members)
        energy = ((guided_gram(features, members[0][2]) - target) ** 2).sum() / (4 * channels**2)
        total += sums_to * (energy / channels**2 if reduction == "mean" else energy)
    return total


def mask_at_layer(mask, layer):
    """`mask` `[h, w]` at the positions of a VGG layer: means over the squares of pixels that are pooled to one."""
    side = 2 ** (int(layer[len("block")]) - 1)
    height, width = np.shape(mask)[0] // side, np.shape(mask)[1] // side
    cells = np.asarray(mask, np.float64)[: height * side, : width * side].reshape(height, side, width, side)
    return cells.mean(axis=(1, 3))


def weighted_moments(features, weights=None):
    """Mean `[N]` of `features` `[h, w, N]` and mean of F F^T `[N, N]` over positions, by `weights` `[h, w]` >= 0."""
    columns = np.asarray(features, np.float64).reshape(-1, np.shape(features)[-1])
    shares = np.ones(len(columns)) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    shares = shares / shares.sum()
    return shares @ columns, (columns * shares[:, np.newaxis]).T @ columns


def square_root(matrix):
    """Square root of a symmetric matrix >= 0."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def gaussian_loss_layer(features, styles, reduction="mean", guide=None):
    """W = |m - m_s|^2 + tr(Sigma + Sigma_s - 2 (Sigma_s^1/2 Sigma Sigma_s^1/2)^1/2), under `mean` over N.

    `features` is `[h, w, N]`; `styles` a list of (`[h', w', N]`, weight), whose moments are blended by weights of sum
    1; the sum multiplies the loss. Sigma = S - m m^T + (1e-4 tr S / N + 1e-6) I.
    """

    def covariance(mean, second):
        extra = 1e-4 * np.trace(second) / len(mean) + 1e-6
        return second - np.outer(mean, mean) + extra * np.eye(len(mean))

    total = sum(weight for _, weight in styles)
    found = [weighted_moments(style) for style, _ in styles]
    target = [
        sum(weight / total * part for part, (_, weight) in zip(parts, styles, strict=True))
        for parts in zip(*found, strict=True)
    ]
    mean, second = weighted_moments(features, guide)
    sigma, sigma_s = covariance(mean, second), covariance(*target)
    root = square_root(sigma_s)
    spread = np.trace(sigma + sigma_s - 2 * square_root(root @ sigma @ root))
    distance = total * (((mean - target[0]) ** 2).sum() + spread)
    return distance / len(mean) if reduction == "mean" else distance


def sliced_loss_layer(features, styles, directions, reduction="mean", guide=None):
    """Sliced Wasserstein distance along the columns of `directions` `[N, D]`, under `mean` over D.

    `styles` as for `gaussian_loss_layer`: one distribution, the mixture by weight. Along a direction, the projection
    of rank u (the share of weight below the middle of its own) is compared with the mixture's u-quantile, linear
    between the middles of its points.
    """
    columns = np.asarray(features, np.float64).reshape(-1, np.shape(features)[-1])
    masses = np.ones(len(columns)) if guide is None else np.asarray(guide, np.float64).reshape(-1)
    masses = masses / masses.sum()
    total = sum(weight for _, weight in styles)
    clouds = [np.asarray(style, np.float64).reshape(-1, columns.shape[1]) for style, _ in styles]
    present = [(cloud, weight / total) for cloud, (_, weight) in zip(clouds, styles, strict=True) if weight]
    points = np.concatenate([cloud for cloud, _ in present])
    shares = np.concatenate([np.full(len(cloud), share / len(cloud)) for cloud, share in present])
    distance = 0.0
    for direction in np.asarray(directions, np.float64).T:
        projected, wanted = columns @ direction, points @ direction
        order, wanted_order = np.argsort(projected), np.argsort(wanted)
        own, theirs = masses[order], shares[wanted_order]
        quantiles = np.interp(np.cumsum(own) - own / 2, np.cumsum(theirs) - theirs / 2, wanted[wanted_order])
        distance += total * (own * (projected[order] - quantiles) ** 2).sum()
    return distance / np.shape(directions)[1] if reduction == "mean" else distance


def softmax_map(features):
    """C N exp(F) / sum exp(F) of `features` `[h, w, C]`, the sum over all C channels and N positions."""
    exponentials = np.exp(np.asarray(features, np.float64) - np.max(features))
    return exponentials.size * exponentials / exponentials.sum()


def total_variation(image):
    """Total variation of `[h, w, 3]`: sum_ij (x_{i+1,j} - x_ij)^2 / h + (x_{i,j+1} - x_ij)^2 / w, channels summed."""
    image = np.asarray(image, np.float64)
    height, width, _ = image.shape
    return ((image[1:] - image[:-1]) ** 2).sum() / height + ((image[:, 1:] - image[:, :-1]) ** 2).sum() / width


def preprocess_caffe(image):
    """The network's input for RGB `image` in 0..255: BGR minus the ImageNet mean."""
    return np.asarray(image, np.float64)[..., ::-1] - IMAGENET_MEAN_BGR


def convolve(features, kernel, bias):
    """Stride-1 'same' convolution: `[h, w, c]` with `[3, 3, c, n]` and `[n]` to `[h, w, n]`, zeros around the edge."""
    height, width, _ = np.shape(features)
    padded = np.pad(np.asarray(features, np.float64), ((1, 1), (1, 1), (0, 0)))
    kernel = np.asarray(kernel, np.float64)
    taps = (padded[i : i + height, j : j + width] @ kernel[i, j] for i, j in np.ndindex(3, 3))
    return sum(taps) + np.asarray(bias, np.float64)


def pool(features, pooling):
    """2 x 2 pooling of `[h, w, c]` at stride 2, 'max' or 'avg'; an odd last row or column is dropped."""
    height, width, channels = features.shape
    cells = features[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, channels)
    return np.max(cells, axis=(1, 3)) if pooling == "max" else np.mean(cells, axis=(1, 3))


def vgg_features(image, weights, wanted, pooling="max", blocks=(2, 2, 4, 4, 4)):
    """Post-ReLU activations `{layer: [h', w', c]}` of a VGG network for RGB `image` `[h, w, 3]`.

    `weights` is `{Keras layer name: (kernel HWIO, bias)}`; `wanted` are Keras names, such as "block3_conv1"; `blocks`
    is the number of convolutions of each block, 2 x 2 pooling between blocks.
    """
    found, features = {}, preprocess_caffe(image)
    for block, convolutions in enumerate(blocks, start=1):
        for index in range(1, convolutions + 1):
            name = f"block{block}_conv{index}"
            features = np.maximum(convolve(features, *weights[name]), 0)
            if name in wanted:
                found[name] = features
            if len(found) == len(set(wanted)):
                return found
        features = pool(features, pooling)
    raise KeyError(f"no such layers: {sorted(set(wanted) - set(found))}")


def adam_steps(gradient_fn, x0, learning_rate, beta_1, beta_2, epsilon, steps, low=0, high=255):
    """The `steps + 1` points of Adam from `x0`, clipped to [low, high] after each step; stacked on a new first axis.

    Keras' ordering (Kingma and Ba, section 2, last paragraph): x -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps).
    """
    points = [np.asarray(x0, np.float64)]
    m, v = np.zeros_like(points[0]), np.zeros_like(points[0])
    for t in range(1, steps + 1):
        gradient = np.asarray(gradient_fn(points[-1]), np.float64)
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        points.append(np.clip(points[-1] - rate * m / (np.sqrt(v) + epsilon), low, high))
    return np.stack(points)


def finite_difference(fn, x, direction, step=1e-4):
    """Central difference of scalar `fn` at `x` along `direction`: (fn(x + s d) - fn(x - s d)) / 2 s."""
    x, direction = np.asarray(x, np.float64), np.asarray(direction, np.float64)
    return (fn(x + step * direction) - fn(x - step * direction)) / (2 * step)


def objective(image, content, styles, config, weights):
    """L_total = alpha L_content + beta L_style + gamma L_tv of `image` for a VGG network, as a dict with its terms.

    `content` is `[h, w, 3]`, `styles` a list of (`[h', w', 3]`, weight), or with masks of (`[h', w', 3]`, weight,
    content mask `[h, w]` or None, style mask `[h', w']` or None). `config` has `content_layers` and
    `style_layers` (`{Keras name: weight}`), `alpha`, `beta`, `gamma`, `content_loss`, `reduction`, `pooling`, and may
    have `style_loss` (default "gram"; the others without masks), `directions` of each layer for "sliced", and
    `feature_map` (default "none"); `weights` is as for `vgg_features`. `content`, `style` and `tv` of the result are
    before alpha, beta and gamma.
    """

    def features(pixels, layers):
        found = vgg_features(pixels, weights, list(layers), config.pooling)
        is_mapped = getattr(config, "feature_map", "none") == "softmax"
        return {name: softmax_map(values) if is_mapped else values for name, values in found.items()}

    x = features(image, {**config.content_layers, **config.style_layers})
    p = features(content, config.content_layers)
    painted = [(features(style[0], config.style_layers), *style[1:]) for style in styles]

    def style_layer(layer):
        loss = getattr(config, "style_loss", "gram")
        if loss != "gram":
            own = [(features_of_style[layer], weight) for features_of_style, weight in painted]
            if loss == "gaussian":
                return gaussian_loss_layer(x[layer], own, config.reduction)
            return sliced_loss_layer(x[layer], own, config.directions[layer], config.reduction)
        guided = [
            (
                a[layer],
                weight,
                *(None if mask is None else mask_at_layer(mask, layer) for mask in masks or (None, None)),
            )
            for a, weight, *masks in painted
        ]
        return guided_style_loss_layer(x[layer], guided, config.reduction)

    terms = {
        "content": sum(
            weight * content_loss(x[layer], p[layer], config.content_loss, config.reduction)
            for layer, weight in config.content_layers.items()
        ),
        "style": sum(weight * style_layer(layer) for layer, weight in config.style_layers.items()),
        "tv": total_variation(image),
    }
    total = config.alpha * terms["content"] + config.beta * terms["style"] + config.gamma * terms["tv"]
    return {"total": total, **terms}
