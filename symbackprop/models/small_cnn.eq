# a small convolutional classifier: convolution, bias, ReLU, 2x2 max pooling, a dense layer
dim c = 1, s = 8, k = 3, f = 16, p = 3, q = 10      # channels, side, kernel, filters, pooled side, classes
batch n = 32
input  x[c, s, s]
target y in q
param  K[f, c, k, k], b1[f], W[q, f, p, p], b2[q]

Z[f, i, j] = sum[c, a, b](K[f, c, a, b] x[c, i + a, j + b]) + b1[f]
A = relu(Z)
P[f, i in p, j in p] = max[u in 2, v in 2](A[f, 2 i + u, 2 j + v])
o[r] = sum[f, i, j](W[r, f, i, j] P[f, i, j]) + b2[r]
L = cross_entropy(o, y)
minimize L
