"""A functional model of two inputs with something of everything that can be lifted."""

import keras
import numpy as np

from tuning import Grid

grid = Grid(
    {
        "batch_size": [16],
        "learning_rate": [0.001, 0.01],
        "weight_decay": [0.01, 0.1],
        "dropout": [0.0, 0.4],
        "alpha": [0.0, 0.2],
        "gaussian": [0.0, 0.3],
        "noise": [0.0, 0.2],
        "spatial": [0.0, 0.5],
        "l2": [0.0, 0.01],
        "l1": [0.0, 0.001],
        "activity": [0.0, 0.01],
        "smoothing": [0.0, 0.1],
        "scale": [1.0, 2.0],
        "epochs": [1, 2],
    }
)


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):
    """A layer of the user's own."""

    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, inputs):
        return inputs * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def load_data():
    x = np.random.default_rng(0).normal(size=(120, 6, 6, 1)).astype("float32")
    y = (x.mean(axis=(1, 2, 3)) > 0).astype("float32")[:, None]
    inputs = {"image": x, "flat": x.reshape(120, -1)}

    def rows(part):
        return {name: array[part] for name, array in inputs.items()}, y[part]

    return {
        "train": rows(slice(0, 72)),
        "validation": rows(slice(72, 96)),
        "test": rows(slice(96, 120)),
    }


def build_model(config):
    layers, regularizers = keras.layers, keras.regularizers
    image = keras.Input((6, 6, 1), name="image")
    flat = keras.Input((36,), name="flat")
    a = layers.Conv2D(4, 3, use_bias=False, kernel_regularizer=regularizers.L2(config["l2"]))(image)
    a = layers.BatchNormalization()(a)
    a = layers.SpatialDropout2D(config["spatial"])(layers.ReLU()(a))
    a = layers.GlobalAveragePooling2D()(a)
    b = layers.Dense(
        8,
        activation="selu",
        kernel_regularizer=regularizers.L1L2(config["l1"], 0.001),
        activity_regularizer=regularizers.L2(config["activity"]),
    )(flat)
    b = layers.AlphaDropout(config["alpha"])(b)
    b = layers.GaussianDropout(config["gaussian"])(b)
    merged = layers.Concatenate()([a, layers.GaussianNoise(config["noise"])(b)])
    merged = Scale(config["scale"])(layers.Dropout(config["dropout"])(merged))
    model = keras.Model([image, flat], layers.Dense(1, activation="sigmoid")(merged))
    model.compile(
        optimizer=keras.optimizers.AdamW(
            config["learning_rate"], weight_decay=config["weight_decay"]
        ),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=config["smoothing"]),
        metrics=["accuracy", keras.metrics.AUC(name="auc")],
    )
    return model
