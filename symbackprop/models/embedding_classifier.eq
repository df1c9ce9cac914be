# a bag of words: the mean of the tokens' embeddings, a linear classifier, cross-entropy
dim v = 1000, t = 20, m = 32, q = 4
batch n = 64
input  tok[t] in v
target y in q
param  Emb[v, m], W[q, m], b[q]

E[t, m] = Emb[tok[t], m]
a[m] = mean[t](E[t, m])
o = W a + b
L = cross_entropy(o, y)
minimize L
