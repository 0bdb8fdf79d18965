"""Ensembles as models: what is averaged, what is compiled, and what a greedy selection takes."""

import numpy as np
import pytest

from tests.conftest import evaluated_apart
from tuning.engines.ensembles import as_file, averaged, scores_on, taken_greedily

pytestmark = pytest.mark.usefixtures("worker")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(48, 4)).astype("float32")
LABELS = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)


def split(x, y, *weights):
    return {
        name: tuple(
            {k: v[part] for k, v in each.items()} if isinstance(each, dict) else each[part]
            for each in (x, y, *weights)
        )
        for name, part in (
            ("train", slice(0, 16)), ("validation", slice(16, 32)), ("test", slice(32, 48)),
        )
    }  # fmt: skip


def mean(outputs, taken):
    return sum(n * each for n, each in zip(taken, outputs, strict=True)) / sum(taken)


def classifiers(n, **options):
    """Models of three classes with random weights."""
    import keras

    def one(seed):
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(0, 1, seed),
                               kernel_regularizer=options.get("regularizer"),
                               activation=options.get("activation", "softmax")),
        ]  # fmt: skip
        model = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits="activation" in options)
        model.compile("adam", loss, metrics=["accuracy"])
        return model

    return [one(seed) for seed in range(n)]


@pytest.mark.parametrize("taken", [[1], [1, 1, 1], [3, 1, 2]])
def test_outputs_are_averaged_by_how_often_each_was_taken(taken, tmp_path):
    data = split(X, LABELS)
    members = classifiers(len(taken))
    outputs = [each.predict(X, verbose=0) for each in members]
    model = averaged(members, taken, data)
    np.testing.assert_allclose(model.predict(X, verbose=0), mean(outputs, taken), rtol=1e-5)
    scores = scores_on(model, data)
    assert set(scores) == {"val_loss", "val_accuracy", "test_loss", "test_accuracy"}
    correct = mean(outputs, taken)[16:32].argmax(axis=1) == LABELS[16:32]
    assert scores["val_accuracy"] == pytest.approx(correct.mean())
    file = tmp_path / "ensemble.keras"
    content, needs = as_file(model)
    file.write_bytes(content)
    assert needs == ""
    if taken == [3, 1, 2]:
        given = {file: ({"val": data["validation"], "test": data["test"]}, 32)}
        assert evaluated_apart(given, "tensorflow")[file] == pytest.approx(scores, rel=1e-4)


def test_logits_are_averaged_as_they_are():
    members = classifiers(2, activation=None)
    outputs = [each.predict(X, verbose=0) for each in members]
    model = averaged(members, [1, 1], split(X, LABELS))
    np.testing.assert_allclose(model.predict(X, verbose=0), mean(outputs, [1, 1]), rtol=1e-5)


def test_penalties_on_weights_are_no_part_of_its_loss():
    import keras

    data = split(X, LABELS)
    with_penalty = averaged(classifiers(2, regularizer=keras.regularizers.L2(1.0)), [1, 1], data)
    without = averaged(classifiers(2), [1, 1], data)
    assert scores_on(with_penalty, data) == pytest.approx(scores_on(without, data))


def test_several_inputs_and_outputs_keep_their_names():
    import keras

    def one(seed):
        start = keras.initializers.RandomNormal(0, 1, seed)
        a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
        both = keras.layers.Concatenate()([a, b])
        outputs = {
            "kind": keras.layers.Dense(1, "sigmoid", kernel_initializer=start, name="kind")(both),
            "size": keras.layers.Dense(2, kernel_initializer=start, name="size")(both),
        }
        model = keras.Model({"a": a, "b": b}, outputs)
        model.compile("adam", {"kind": "binary_crossentropy", "size": "mse"},
                      metrics={"kind": ["accuracy"], "size": ["mae"]})  # fmt: skip
        return model

    x = {"a": X, "b": X[:, :2]}
    data = split(x, {"kind": (LABELS > 0).astype("float32")[:, None], "size": X[:, :2]})
    members = [one(seed) for seed in range(3)]
    names = members[0].evaluate(*data["validation"], verbose=0, return_dict=True).keys()
    outputs = [each.predict(x, verbose=0) for each in members]
    model = averaged(members, [1, 2, 1], data)
    found = model.predict(x, verbose=0)
    for name in ("kind", "size"):
        expected = mean([each[name] for each in outputs], [1, 2, 1])
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    scores = scores_on(model, data)
    assert {name.removeprefix("val_") for name in scores if name.startswith("val_")} == set(names)
    rank = lambda scores: (-scores["val_loss"],)  # noqa: E731
    assert sum(taken_greedily(members, data, rank)) > 0


def test_a_model_of_a_class_of_its_own_takes_rows_like_the_data():
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(3, "softmax")

        def call(self, x):
            return self.dense(x)

    members = [Own(), Own()]
    for each in members:
        each.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    outputs = [each.predict(X, verbose=0) for each in members]
    model = averaged(members, [1, 1], split(X, LABELS))
    np.testing.assert_allclose(model.predict(X, verbose=0), mean(outputs, [1, 1]), rtol=1e-5)
    assert as_file(model)[1] == "your code registers Own: import it before loading"


def fixed(outputs):
    """A model that returns one of its three columns of input as the probability."""
    import keras

    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False, activation="linear")]
    )
    model.layers[0].set_weights([np.array(outputs, "float32")[:, None]])
    model.compile("adam", "mse", metrics=["binary_accuracy"])
    return model


def by_accuracy(scores):
    return scores["val_binary_accuracy"], -scores["val_loss"]


# The first is right about 4 of 6 rows, the others are right where it is wrong and half sure else.
COLUMNS = np.array(
    [
        [0.9, 0.9, 0.9, 0.9, 0.3, 0.3],
        [0.4, 0.4, 0.6, 0.6, 0.9, 0.9],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
).T.astype("float32")


def of_columns(test=None):
    x, y = COLUMNS, np.ones((6, 1), "float32")
    return {"train": (x, y), "validation": (x, y), "test": (x, y) if test is None else test}


def members_of_columns():
    return [fixed(row) for row in np.eye(3)]


def test_a_greedy_selection_takes_what_is_better_together_and_leaves_the_rest():
    taken = taken_greedily(members_of_columns(), of_columns(), by_accuracy)
    assert taken[2] == 0
    assert min(taken[:2]) > 0
    model = averaged(members_of_columns()[:2], taken[:2], of_columns())
    assert scores_on(model, of_columns())["val_binary_accuracy"] == 1.0
    # Of all weights that 20 more can have, none has a lower loss among those that are all right.
    shares = [(i, j) for i in range(1, 22) for j in range(1, 22)]
    losses = [np.mean((1 - (i * COLUMNS[:, 0] + j * COLUMNS[:, 1]) / (i + j)) ** 2)
              for i, j in shares]  # fmt: skip
    own = np.mean((1 - mean(COLUMNS[:, :2].T, taken[:2])) ** 2)
    assert own <= min(losses) + 1e-3


def test_test_data_selects_nothing():
    taken = taken_greedily(members_of_columns(), of_columns(), by_accuracy)
    other = (1 - COLUMNS, np.zeros((6, 1), "float32"))
    assert taken_greedily(members_of_columns(), of_columns(other), by_accuracy) == taken


def test_bags_select_among_halves_and_are_added_up():
    members = [*members_of_columns(), *members_of_columns()[2:]]
    one = taken_greedily(members, of_columns(), by_accuracy, bags=1, seed=1)
    assert sum(n > 0 for n in one) <= 2
    several = taken_greedily(members, of_columns(), by_accuracy, bags=6, seed=1)
    assert several == taken_greedily(members, of_columns(), by_accuracy, bags=6, seed=1)
    assert sum(several) > sum(one)
    assert several[0] + several[1] > several[2] + several[3]


def test_what_is_selected_is_never_worse_on_the_validation_rows():
    random = np.random.default_rng(1)
    data = split(X, random.permutation(LABELS))
    members = classifiers(5)
    alone = [scores_on(averaged([each], [1], data), data) for each in members]
    rank = lambda scores: (scores["val_accuracy"], -scores["val_loss"])  # noqa: E731
    taken = taken_greedily(members, data, rank)
    parts = [i for i, n in enumerate(taken) if n]
    model = averaged([members[i] for i in parts], [taken[i] for i in parts], data)
    assert rank(scores_on(model, data))[0] >= alone[0]["val_accuracy"]
