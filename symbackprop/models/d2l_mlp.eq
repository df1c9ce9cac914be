# one hidden layer, with bias (d2l 5.3)
dim d = 784, h = 256, q = 10        # sizes; the defaults are optional
batch n = 256                       # optional: the equations are per example, lifted over n
input  x[d]
target y[q]                         # or:  target y in q      (an integer class, 0..q-1)
param  W1[h, d], b1[h], W2[q, h], b2[q]
hyper  lambda = 0.001

z = W1 x + b1
a = relu(z)
o = W2 a + b2
L = 1/2 ||y - o||^2                 # or:  cross_entropy(o, y)
s = lambda/2 (||W1||^2 + ||W2||^2)
J = L + s
minimize J
