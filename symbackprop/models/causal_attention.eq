# single-head causal attention with a squared loss
dim t = 16, m = 32, d = 16
batch n = 8
input  X[t, m]
target Y[t, d]
param  W_q[m, d], W_k[m, d], W_v[m, d]

Q = X W_q
K = X W_k
V = X W_v
S = Q K^T / sqrt(d)
M[i, j] = where(i >= j, S[i, j], -inf)
P = softmax(M)
O = P V
L = 1/2 ||Y - O||^2
minimize L
