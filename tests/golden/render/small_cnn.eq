# a small convolutional classifier: convolution, bias, ReLU, 2x2 max pooling, a dense layer
dim c = 1, s = 8, k = 3, f = 16, p = 3, q = 10
batch n = 32
input x[c, s, s]
target y in q
param K[f, c, k, k], b1[f], W[q, f, p, p], b2[q]

Z[f, i in (s − k + 1), j in (s − k + 1)] = sum[l, u, v](K[f, l, u, v] x[l, i + u, j + v]) + b1[f]
A[i, j, l] = relu(Z[i, j, l])
P[f, i in p, j in p] = max[l in 2, r in 2](A[f, 2 i + l, 2 j + r])
o[r] = sum[i, j, l](W[r, i, j, l] P[i, j, l]) + b2[r]
L = logsumexp(o) − oᵀ onehot(y)
minimize L
