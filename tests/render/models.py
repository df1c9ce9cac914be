"""Models that use what the built-in ones do not."""

MODELS = {
    "padded convolution": """
dim d = 9, k = 3, f = 2
batch n = 4
input x[d]
target y[f, d]
param K[f, k]
Y[o, i in d] = sum[a](where(i + a >= 1, where(i + a <= d, K[o, a] x[i + a - 1], 0), 0))
L = 1/2 ||y - Y||^2
minimize L
""",
    "strided convolution": """
dim d = 9, k = 3, f = 2, m = 4
batch n = 4
input x[d]
target y[f, m]
param K[f, k]
Y[o, i in m] = sum[a](K[o, a] x[2 i + a])
Z = relu(Y)
L = 1/2 ||y - Z||^2
minimize L
""",
    "open functions": """
dim d = 3, h = 2
batch n = 4
input x[d]
target y[h]
param W[h, d]
function phi
function psi(u, v)
z = W x
a = phi(z)
L = sum(psi(a, y))
minimize L
""",
    "a formula with a hyper-parameter": """
dim d = 3
batch n = 4
input x[d]
param w[d]
hyper alpha = 2.5, beta = 1/3, gamma = -2
function f(u, v) = alpha u^2 v + beta exp(gamma u) - max(u, v)
a = w^T x
L = f(a, w^T w) + abs(a)^3
minimize L
""",
    "determinants": """
dim d = 3
input x[d]
param A[d, d], B[d, d]
C = A^T A + 2 I
L = det(A) + logdet(C) + x^T B^-1 x + tr(A B) + tr(C^-1 A B)
minimize L
""",
    "a tensor hides a dimension": """
dim h = 3, d = 4
batch n = 8
input x[d]
param W[h, d]
h = W x
L = ||h||^2 / size(h) + sum(h) / d
minimize L
""",
    "indices": """
dim n = 5, m = 4
input X[n, m], tok[n] in m
param A[n, m], v[m]
Y[i, j] = i X[i, j] + where(i != j, A[i, j], -1) + v[tok[i]]
d[i] = v[i]^2
s[j] = max[i](Y[i, j])
r[i] = logsumexp[j](Y[i, j]) + mean[j](A[i, j])
L = sum(d ⊙ s) + ||r|| + sum[i, j](where(X[i, j] > 0, A[i, j]^3, A[i, j]))
minimize L
""",
    "penalties": """
dim d = 3, h = 2
input x[d]
param W[h, d], w[d]
hyper lambda = 0.5, p = 3
s = lambda ||W||_1 + lambda/2 ||w||^2 + max(w) + ||w||_inf
T = w^T w
L = s + sum(abs(w).^p) + 2^T + sum(sqrt(1 + x ⊙ x ⊙ w ⊙ w)) + min(w)
minimize L
""",
    "row-wise": """
dim n = 5, m = 4
input X[n, m]
target y[n] in m
param W[m, m], b[m]
S = X W + ones(n) b^T
P = softmax(S)
q = P ones(m)
L = 1/n sum(cross_entropy(S, y)) + sum(q) + sum(rowsum(P ⊙ S)) + sum(diag(S^T S))
minimize L
""",
    "a vector-Jacobian product": """
dim n = 3
param X[n, n]
Y = X^-1
""",
    "softmax alone": """
dim n = 3
param x[n]
p = softmax(x)
""",
    "names": """
dim w_1 = 3, d2 = 2
input x_1[w_1], x1[w_1]
param T[d2, w_1], T_q[d2, w_1], alpha_hat[d2]
z_1 = T x1 + alpha_hat
z1 = T_q x_1 + 3 z_1
L = z1^T z_1 + 2 sum(z_1 ./ (1 + z1 ⊙ z1))
minimize L
""",
    "full convolution": """
dim m = 3, k = 2, d = 4
param X[m], K[k]
Y[p in d] = sum[a](where(p - a >= 0, where(p - a < m, X[p - a] K[a], 0), 0))
L = sum(exp(Y))
minimize L
""",
    "windows": """
dim d = 6, p = 3
input x[d]
param w[d]
u = w ⊙ x
P[i in p] = max[r in 2](u[2 i + r])
S[i in p] = logsumexp[r in 2](u[2 i + r])
E[i in p] = sum[r in 2](exp(u[2 i + r]))
L = P^T P + sum(S) + sum(log(E))
minimize L
""",
}
