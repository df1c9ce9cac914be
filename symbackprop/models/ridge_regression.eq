# ridge regression with an intercept, on a design matrix
dim n = 100, d = 10
input  X[n, d]
target y[n]
param  w[d], b[]
hyper  lambda = 0.1

y_hat = X w + b
L = 1/2 ||y - y_hat||^2
s = lambda/2 ||w||^2                # the intercept is not penalised
J = L + s
minimize J
