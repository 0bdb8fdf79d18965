"""What is used here of Keras and JAX and is not public, each with the versions it holds for.

A test for each of them says which one has moved.
"""
