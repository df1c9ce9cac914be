# one hidden layer, without bias (d2l 5.3)
dim d = 784, h = 256, q = 10
batch n = 256
input  x[d]
target y[q]
param  W1[h, d], W2[q, h]
hyper  lambda = 0.001

z = W1 x
a = relu(z)
o = W2 a
L = 1/2 ||y - o||^2
s = lambda/2 (||W1||^2 + ||W2||^2)
J = L + s
minimize J
