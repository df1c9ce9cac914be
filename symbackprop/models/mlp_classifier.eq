# a 784-256-128-10 ReLU classifier with cross-entropy and weight decay
dim d = 784, h1 = 256, h2 = 128, q = 10
batch n = 256
input  x[d]
target y in q
param  W1[h1, d], b1[h1], W2[h2, h1], b2[h2], W3[q, h2], b3[q]
hyper  lambda = 0.0001

z1 = W1 x + b1
a1 = relu(z1)
z2 = W2 a1 + b2
a2 = relu(z2)
o = W3 a2 + b3
L = cross_entropy(o, y)
s = lambda/2 (||W1||^2 + ||W2||^2 + ||W3||^2)
J = L + s
minimize J
