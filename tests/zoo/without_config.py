"""A model of parts of every kind that cannot describe themselves, as tutorials write them."""

import keras
from _data import binary
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"strength": [0.01, 0.1], "rate": [0.003, 0.03], "epochs": [1, 2]})


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate * ops.minimum(1.0, (ops.cast(step, "float32") + 1.0) / 5.0)


class Scaled(keras.initializers.Initializer):
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, shape, dtype=None):
        return self.scale * keras.random.normal(shape, dtype=dtype, seed=1)


class Quartic(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return self.strength * ops.sum(x**4)


class Bounded(keras.constraints.Constraint):
    def __init__(self, most):
        self.most = most

    def __call__(self, w):
        return ops.clip(w, -self.most, self.most)


class Gate(keras.layers.Layer):
    def __init__(self, activation):
        super().__init__()
        self.kernel = keras.layers.Dense(
            6,
            kernel_initializer=Scaled(0.3),
            kernel_regularizer=Quartic(0.001),
            kernel_constraint=Bounded(2.0),
        )
        self.activation = activation

    def call(self, x):
        return self.activation(self.kernel(x))


class Focal(keras.losses.Loss):
    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def call(self, y_true, y_pred):
        return keras.losses.binary_crossentropy(y_true, y_pred) * (1 + self.strength * y_pred[:, 0])


class Share(keras.metrics.Metric):
    def __init__(self, threshold, name="share"):
        super().__init__(name=name)
        self.threshold = threshold
        self.above = self.add_weight(name="above", initializer="zeros")
        self.rows = self.add_weight(name="rows", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.above.assign_add(ops.sum(ops.cast(y_pred > self.threshold, "float32")))
        self.rows.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self):
        return self.above / self.rows

    def get_config(self):
        raise NotImplementedError


class Gated(keras.Model):
    def __init__(self, activation):
        super().__init__()
        self.gate = Gate(activation)
        self.last = keras.layers.Dense(1, activation="sigmoid")

    def call(self, inputs):
        return self.last(self.gate(inputs))

    def get_config(self):
        raise NotImplementedError


def load_data():
    return binary()


def build_model(config):
    model = Gated(lambda x: ops.tanh(x) * config["strength"])
    model.compile(
        optimizer=keras.optimizers.Adam(Warmup(config["rate"])),
        loss=Focal(config["strength"]),
        metrics=["accuracy", Share(0.4)],
    )
    return model
