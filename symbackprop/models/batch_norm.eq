# a linear layer with batch normalisation and a squared loss
dim n = 64, m = 32, d = 16
input  H[n, m]
target Y[n, d]
param  W[d, m], gamma[d], beta[d]
hyper  epsilon = 0.00001

X = H W^T
mu[j] = mean[i](X[i, j])
sigma[j] = sqrt(mean[i]((X[i, j] - mu[j])^2) + epsilon)
X_hat[i, j] = (X[i, j] - mu[j]) / sigma[j]
O[i, j] = gamma[j] X_hat[i, j] + beta[j]
L = 1/(2 n) ||Y - O||^2
minimize L
