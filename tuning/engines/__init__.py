"""Training: one configuration through Keras' own fit, or a pack of them as one program."""
