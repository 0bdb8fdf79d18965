"""A student learns from labels and from a frozen teacher; weight and temperature are axes."""

import keras
from _data import classes
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

grid = Grid({"alpha": [0.1, 0.9], "temperature": [1.5, 4.0]})


class Distiller(keras.Model):
    def __init__(self, teacher, student, alpha, temperature):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher.trainable = False
        self.alpha, self.temperature = alpha, temperature

    def call(self, inputs, training=None):
        return self.student(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        soft = ops.softmax(self.teacher(x, training=False) / self.temperature)
        own = ops.softmax(y_pred / self.temperature)
        distance = ops.mean(keras.losses.kl_divergence(soft, own))
        return self.alpha * loss + (1 - self.alpha) * self.temperature**2 * distance


def load_data():
    return classes()


def build_model(config):
    teacher = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3),
        ]
    )
    student = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(3)]
    )
    model = Distiller(teacher, student, config["alpha"], config["temperature"])
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
