"""A training step of the user's own, written for JAX, with a penalty on large answers."""

import jax
import keras
from _data import regression
from keras import ops

from tuning import Grid

PROGRAMS = 1
ENGINE = "vectorized"

metric = "val_mae"
grid = Grid({"penalty": [0.0, 0.1], "learning_rate": [0.003, 0.03]})


class Penalized(keras.Model):
    penalty = 0.0

    def loss_and_updates(self, trainable, non_trainable, x, y):
        y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=True)
        loss = self.compute_loss(x, y, y_pred)
        return loss + self.penalty * ops.mean(ops.square(y_pred)), (y_pred, non_trainable)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        x, y = data
        gradient = jax.value_and_grad(self.loss_and_updates, has_aux=True)
        (loss, (y_pred, non_trainable)), grads = gradient(trainable, non_trainable, x, y)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        logs, new = {}, []
        for metric in self.metrics:
            count = len(metric.variables)
            values, metrics = metrics[:count], metrics[count:]
            if metric.name == "loss":
                values = metric.stateless_update_state(values, loss)
            else:
                values = metric.stateless_update_state(values, y, y_pred)
            result = metric.stateless_result(values)
            logs.update(result if isinstance(result, dict) else {metric.name: result})
            new += values
        return logs, (trainable, non_trainable, optimizer, new)


def load_data():
    return regression()


def build_model(config):
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    model = Penalized(inputs, keras.layers.Dense(1)(hidden))
    model.penalty = config["penalty"]
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]), loss="mse", metrics=["mae"]
    )
    return model
