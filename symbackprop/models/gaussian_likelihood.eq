# the negative log-likelihood of a Gaussian with a full covariance matrix
dim d = 8
batch n = 128
input x[d]
param mu[d], A[d, d]
hyper epsilon = 0.1

Sigma = A A^T + epsilon I           # positive definite whatever A is
r = x - mu
ell = -1/2 (r^T Sigma^-1 r + logdet(Sigma) + d log(2 pi))
L = -ell
output ell                          # the log-density of each example
minimize L
