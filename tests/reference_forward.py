"""The built-in models' objectives, written by hand in NumPy: an oracle that shares no code with the package.

Every function takes (params, inputs, hyper), plain dicts keyed by the model's names (targets are among the
inputs), and returns the objective as a float. Where the model has a batch, arrays of inputs and targets carry
it as their leading axis, and the objective is the mean over the examples. The functions are loops on purpose:
slow, and easy to see right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
Objective = Callable[[Arrays, Arrays, Mapping[str, float]], float]


def ridge_regression(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """Half the squared residuals, summed over the rows, plus the penalty on w."""
    residuals = 0.0
    for row, wanted in zip(inputs["X"], inputs["y"], strict=True):
        residuals += (wanted - (_dot(row, params["w"]) + float(params["b"]))) ** 2
    return residuals / 2 + hyper["lambda"] / 2 * _sum_of_squares(params["w"])


def softmax_regression(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """The mean cross-entropy of a linear classifier."""
    losses = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        losses.append(_cross_entropy(_affine(params["W"], x, params["b"]), y))
    return _mean(losses)


def d2l_mlp(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """One hidden ReLU layer, half the squared error, weight decay on both weights."""
    losses = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        a = _relu(_affine(params["W1"], x, params["b1"]))
        losses.append(_half_squared_error(y, _affine(params["W2"], a, params["b2"])))
    penalty = hyper["lambda"] / 2 * (_sum_of_squares(params["W1"]) + _sum_of_squares(params["W2"]))
    return _mean(losses) + penalty


def d2l_mlp_no_bias(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """As `d2l_mlp`, with both biases zero."""
    without = {
        "W1": params["W1"],
        "b1": np.zeros(params["W1"].shape[0]),
        "W2": params["W2"],
        "b2": np.zeros(params["W2"].shape[0]),
    }
    return d2l_mlp(without, inputs, hyper)


def mlp_classifier(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """Two hidden ReLU layers, cross-entropy with integer classes, weight decay on the three weights."""
    losses = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        a1 = _relu(_affine(params["W1"], x, params["b1"]))
        a2 = _relu(_affine(params["W2"], a1, params["b2"]))
        losses.append(_cross_entropy(_affine(params["W3"], a2, params["b3"]), y))
    squares = _sum_of_squares(params["W1"]) + _sum_of_squares(params["W2"]) + _sum_of_squares(params["W3"])
    return _mean(losses) + hyper["lambda"] / 2 * squares


def elastic_net_mlp(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """One hidden swish layer, half the squared error, an l1 and a squared l2 penalty on both weights."""
    losses = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        z = _affine(params["W1"], x, params["b1"])
        a = [u / (1 + math.exp(-hyper["beta"] * u)) for u in z]
        losses.append(_half_squared_error(y, _affine(params["W2"], a, params["b2"])))
    absolute = sum(abs(float(w)) for name in ("W1", "W2") for w in params[name].flat)
    squares = _sum_of_squares(params["W1"]) + _sum_of_squares(params["W2"])
    return _mean(losses) + hyper["alpha"] * absolute + hyper["lambda"] * squares


def tied_autoencoder(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """Encode with tanh(W x + b), decode with the transpose of W, half the squared reconstruction error."""
    k, d = params["W"].shape
    losses = []
    for x in inputs["x"]:
        h = [math.tanh(z) for z in _affine(params["W"], x, params["b"])]
        x_hat = [sum(float(params["W"][j, i]) * h[j] for j in range(k)) + float(params["c"][i]) for i in range(d)]
        losses.append(_half_squared_error(x, x_hat))
    return _mean(losses)


def small_cnn(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """A valid convolution with bias, ReLU, 2x2 max pooling with stride 2, a dense layer, cross-entropy."""
    kernel, weight = params["K"], params["W"]
    filters, channels, size, _ = kernel.shape
    classes, _, pooled, _ = weight.shape
    losses = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        side = x.shape[1] - size + 1
        activation = np.zeros((filters, side, side))
        for f in range(filters):
            for i in range(side):
                for j in range(side):
                    z = float(params["b1"][f])
                    for c in range(channels):
                        for a in range(size):
                            for b in range(size):
                                z += float(kernel[f, c, a, b]) * float(x[c, i + a, j + b])
                    activation[f, i, j] = max(z, 0.0)
        logits = [float(bias) for bias in params["b2"]]
        for f in range(filters):
            for i in range(pooled):
                for j in range(pooled):
                    window = activation[f, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                    largest = max(float(value) for value in window.flat)
                    for r in range(classes):
                        logits[r] += float(weight[r, f, i, j]) * largest
        losses.append(_cross_entropy(logits, y))
    return _mean(losses)


def layer_norm(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """A linear layer, normalised over its features, scaled and shifted; half the squared error."""
    losses = []
    for h, y in zip(inputs["h"], inputs["y"], strict=True):
        x = _affine(params["W"], h, np.zeros(params["W"].shape[0]))
        o = _normalised(x, hyper["epsilon"])
        for i in range(len(o)):
            o[i] = float(params["gamma"][i]) * o[i] + float(params["beta"][i])
        losses.append(_half_squared_error(y, o))
    return _mean(losses)


def batch_norm(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """A linear layer, each feature normalised over the examples, scaled, shifted; mean half squared error."""
    examples = len(inputs["H"])
    total = 0.0
    for j in range(len(params["gamma"])):
        column = [_dot(params["W"][j], inputs["H"][i]) for i in range(examples)]
        column = _normalised(column, hyper["epsilon"])
        for i in range(examples):
            o = float(params["gamma"][j]) * column[i] + float(params["beta"][j])
            total += (float(inputs["Y"][i, j]) - o) ** 2
    return total / (2 * examples)


def causal_attention(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """Each token attends to itself and those before it, scores over the root of d; half the squared error."""
    d = params["W_q"].shape[1]
    losses = []
    for X, Y in zip(inputs["X"], inputs["Y"], strict=True):
        queries, keys, values = ([_affine(params[w].T, x, [0.0] * d) for x in X] for w in ("W_q", "W_k", "W_v"))
        loss = 0.0
        for i in range(len(X)):
            scores = [_dot(queries[i], keys[j]) / math.sqrt(d) for j in range(i + 1)]
            shift = _logsumexp(scores)
            o = [0.0] * d
            for j in range(i + 1):
                for e in range(d):
                    o[e] += math.exp(scores[j] - shift) * values[j][e]
            loss += _half_squared_error(Y[i], o)
        losses.append(loss)
    return _mean(losses)


def embedding_classifier(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """The mean of the tokens' embeddings, a linear classifier, cross-entropy."""
    losses = []
    for tokens, y in zip(inputs["tok"], inputs["y"], strict=True):
        a = np.zeros(params["Emb"].shape[1])
        for token in tokens:
            a += params["Emb"][int(token)] / len(tokens)
        losses.append(_cross_entropy(_affine(params["W"], a, params["b"]), y))
    return _mean(losses)


def gaussian_likelihood(params: Arrays, inputs: Arrays, hyper: Mapping[str, float]) -> float:
    """The mean negative log-density, by the covariance's Cholesky factor: no determinant, no inverse."""
    d = len(params["mu"])
    covariance = np.zeros((d, d))
    for i in range(d):
        for j in range(d):
            covariance[i, j] = _dot(params["A"][i], params["A"][j]) + (hyper["epsilon"] if i == j else 0.0)
    factor = np.linalg.cholesky(covariance)
    logdet = 2 * sum(math.log(factor[i, i]) for i in range(d))
    losses = []
    for x in inputs["x"]:
        white = [0.0] * d  # factor @ white = x - mu, by forward substitution
        for i in range(d):
            known = sum(float(factor[i, j]) * white[j] for j in range(i))
            white[i] = (float(x[i]) - float(params["mu"][i]) - known) / float(factor[i, i])
        losses.append((_dot(white, white) + logdet + d * math.log(2 * math.pi)) / 2)
    return _mean(losses)


def _dot(left: Any, right: Any) -> float:
    return sum(float(a) * float(b) for a, b in zip(left, right, strict=True))


def _affine(weight: Any, x: Any, bias: Any) -> list[float]:
    return [_dot(row, x) + float(b) for row, b in zip(weight, bias, strict=True)]


def _relu(values: list[float]) -> list[float]:
    return [max(value, 0.0) for value in values]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _sum_of_squares(array: Any) -> float:
    return sum(float(value) ** 2 for value in array.flat)


def _half_squared_error(wanted: Any, got: Any) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(wanted, got, strict=True)) / 2


def _logsumexp(values: list[float]) -> float:
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))


def _cross_entropy(logits: list[float], label: Any) -> float:
    return _logsumexp(logits) - logits[int(label)]


def _normalised(values: list[float], epsilon: float) -> list[float]:
    mean = _mean(values)
    variance = _mean([(value - mean) ** 2 for value in values])
    return [(value - mean) / math.sqrt(variance + epsilon) for value in values]


REFERENCE: dict[str, Objective] = {
    function.__name__: function
    for function in (
        ridge_regression,
        softmax_regression,
        d2l_mlp,
        d2l_mlp_no_bias,
        mlp_classifier,
        elastic_net_mlp,
        tied_autoencoder,
        small_cnn,
        layer_norm,
        batch_norm,
        causal_attention,
        embedding_classifier,
        gaussian_likelihood,
    )
}
"""The oracle of each built-in model, by the model's name."""
