# a wide block of a transformer: GELU (tanh form) between two dense layers, with a squared loss
dim d = 512, h = 2048
batch n = 256
input  x[d]
target y[d]
param  W1[h, d], b1[h], W2[d, h], b2[d]

z = W1 x + b1
a = gelu_tanh(z)
o = W2 a + b2
L = 1/2 ||y - o||^2
minimize L
