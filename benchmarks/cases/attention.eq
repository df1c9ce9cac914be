# causal attention: eight heads in one index equation, with a squared loss
dim h = 8, t = 128, d = 64
target Y[h, t, d]
param  Q[h, t, d], K[h, t, d], V[h, t, d]

S[a, i, j] = sum[k](Q[a, i, k] K[a, j, k]) / sqrt(d)
M[a, i, j] = where(i >= j, S[a, i, j], -inf)
P = softmax(M)
O[a, i, k] = sum[j](P[a, i, j] V[a, j, k])
L = 1/2 sum((Y - O).^2)
minimize L
