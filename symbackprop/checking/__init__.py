"""Checking a kernel by routes that share no code with the derivation: differences, complex step, exact
expansion.
"""
