# a linear layer with layer normalisation and a squared loss
dim m = 32, d = 16
batch n = 64
input  h[m]
target y[d]
param  W[d, m], gamma[d], beta[d]
hyper  epsilon = 0.00001

x = W h
mu = mean(x)
sigma = sqrt(mean((x - mu).^2) + epsilon)
x_hat = (x - mu) / sigma
o = gamma ⊙ x_hat + beta
L = 1/2 ||y - o||^2
minimize L
