# linear regression with many outputs and an elastic-net penalty
dim d = 256, q = 512
batch n = 256
input  x[d]
target y[q]
param  W[q, d], b[q]
hyper  alpha = 0.0001, lambda = 0.001

o = W x + b
L = 1/2 ||y - o||^2
s = alpha ||W||_1 + lambda ||W||^2
J = L + s
minimize J
