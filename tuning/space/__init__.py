"""Search spaces: which hyperparameters there are, and the values they take."""
