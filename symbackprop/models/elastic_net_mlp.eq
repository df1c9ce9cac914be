# one hidden layer with an activation given by its formula and an elastic-net penalty
dim d = 20, h = 32, q = 3
batch n = 64
input  x[d]
target y[q]
param  W1[h, d], b1[h], W2[q, h], b2[q]
hyper  beta = 1.5, alpha = 0.001, lambda = 0.01
function swish(u) = u / (1 + exp(-beta u))

z = W1 x + b1
a = swish(z)
o = W2 a + b2
L = 1/2 ||y - o||^2
s = alpha (||W1||_1 + ||W2||_1) + lambda (||W1||^2 + ||W2||^2)
J = L + s
minimize J
