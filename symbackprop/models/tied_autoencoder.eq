# an autoencoder whose decoder is the encoder's transpose
dim d = 64, k = 16
batch n = 128
input x[d]
param W[k, d], b[k], c[d]

z = W x + b
h = tanh(z)
x_hat = W^T h + c
L = 1/2 ||x - x_hat||^2
output x_hat
minimize L
