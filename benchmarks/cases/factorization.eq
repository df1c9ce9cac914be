# a matrix as a product of two thin ones
dim m = 40, k = 4, p = 30
param U[m, k], V[p, k]
target R[m, p]
L = 1/2 ||U V^T - R||^2
minimize L
