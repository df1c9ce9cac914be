# softmax regression: a linear classifier with cross-entropy
dim d = 64, q = 10
batch n = 256
input  x[d]
target y in q
param  W[q, d], b[q]

o = W x + b
L = cross_entropy(o, y)
minimize L
