# logistic regression with many examples
dim d = 256
batch n = 2048
input x[d]
target y
param w[d]
z = w^T x
L = softplus(z) - y z
minimize L
