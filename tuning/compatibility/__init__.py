"""Private names of Keras and JAX that we use, with the versions for which they hold.

A test for each of them says which one has moved.
"""
