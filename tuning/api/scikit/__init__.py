"""A hyperparameter search of Keras models that is an estimator of scikit-learn."""
