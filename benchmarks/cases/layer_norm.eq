# layer normalisation of the rows of a matrix, with a squared loss
dim n = 512, m = 1024
target Y[n, m]
param  X[n, m], gamma[m], beta[m]
hyper  epsilon = 0.00001

mu[i] = mean[j](X[i, j])
sigma[i] = sqrt(mean[j]((X[i, j] - mu[i])^2) + epsilon)
X_hat[i, j] = (X[i, j] - mu[i]) / sigma[i]
O[i, j] = gamma[j] X_hat[i, j] + beta[j]
L = 1/2 ||Y - O||^2
minimize L
