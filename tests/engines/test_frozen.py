"""A frozen part of a network is computed once a row, and training ends as plain Keras' does."""

import numpy as np
import pytest

from tests.conftest import fit
from tuning.engines import frozen, vectorized
from tuning.engines.evaluation import evaluate
from tuning.engines.kept import forget_programs
from tuning.packing.axes import UNPACKED
from tuning.problem.functions import problem_of
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")

SPACE = {"learning_rate": [0.01, 0.03], "batch_size": [24], "epochs": [2]}
TRAIN, VALIDATION = 116, 40  # a short last batch of 20


def split(x, y):
    """The rows as training, validation and test data."""
    cuts = {"train": np.s_[:TRAIN], "validation": np.s_[TRAIN:156], "test": np.s_[156:]}
    if isinstance(x, dict):
        return {k: ({n: a[at] for n, a in x.items()}, y[at]) for k, at in cuts.items()}
    return {k: (x[at], y[at]) for k, at in cuts.items()}


def rows():
    x = np.random.default_rng(0).normal(size=(200, 20)).astype("float32")
    return split(x, (x.sum(1) > 0).astype("float32"))


def rows_with_zeros():
    x = np.random.default_rng(0).normal(size=(200, 20)).astype("float32")
    x[:, ::3] = 0.0
    return split(x, (x.sum(1) > 0).astype("float32"))


def images():
    x = np.random.default_rng(0).normal(size=(200, 8, 8, 2)).astype("float32")
    return split(x, (x.mean((1, 2, 3)) > 0).astype("float32"))


def words():
    x = np.random.default_rng(0).integers(0, 30, (200, 10)).astype("int32")
    return split(x, (x.mean(1) > 15).astype("float32"))


def two_inputs():
    random = np.random.default_rng(0)
    one, other = (random.normal(size=(200, n)).astype("float32") for n in (20, 3))
    return split({"one": one, "other": other}, (one.sum(1) > 0).astype("float32"))


def layer(name, *args, seed=1, trainable=False, **given):
    """A frozen layer with weights that are the same in every model."""
    import keras

    own = "depthwise" if name == "DepthwiseConv2D" else "kernel"
    own = "embeddings" if name == "Embedding" else own
    given[f"{own}_initializer"] = keras.initializers.RandomNormal(0.0, 0.3, seed=seed)
    return getattr(keras.layers, name)(*args, **given, trainable=trainable)


def head(inputs, features, config):
    import keras

    h = keras.layers.Dense(config.get("width", 6), activation="tanh")(features)
    if "dropout" in config:
        h = keras.layers.Dropout(config["dropout"])(h)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(h))
    adam = keras.optimizers.Adam(config["learning_rate"])
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"])
    return model


def over(shape, *make, dtype="float32"):
    """What builds a model of layers, each made when it is built, and a head that is trained."""

    def build_model(config):
        import keras

        inputs = h = keras.Input(shape, dtype=dtype)
        for each in make:
            h = each()(h)
        return head(inputs, h, config)

    return build_model


def keras_layer(name, *args, **given):
    def make():
        import keras

        return getattr(keras.layers, name)(*args, **given)

    return make


def frozen_layer(*args, **given):
    return lambda: layer(*args, **given)


def frozen_normalization():
    import keras

    made = keras.layers.BatchNormalization(trainable=False)
    made.build((None, 8, 8, 5))
    made.moving_mean.assign(np.linspace(-0.5, 0.5, 5))
    made.moving_variance.assign(np.linspace(0.5, 2.0, 5))
    return made


def of_two_inputs(config):
    import keras

    inputs = {"one": keras.Input((20,), name="one"), "other": keras.Input((3,), name="other")}
    h = layer("Dense", 40, activation="relu")(inputs["one"])
    h = layer("Dense", 8, activation="relu", seed=2)(h)
    return head(inputs, keras.layers.Concatenate()([h, inputs["other"]]), config)


def of_x_twice(config):
    import keras

    inputs = keras.Input((20,))
    h = layer("Dense", 40, activation="relu")(inputs)
    skip = keras.layers.Dense(8, activation="tanh")(inputs)
    h = keras.layers.Concatenate()([layer("Dense", 8, seed=2)(h), skip])
    return head(inputs, h, config)


DENSE = (
    frozen_layer("Dense", 60, activation="relu", kernel_regularizer="l2"),
    frozen_layer("Dense", 8, activation="tanh", seed=2),
)
CONVOLUTIONS = (
    frozen_layer("Conv2D", 5, 3, padding="same", activation="relu"),
    frozen_normalization,
    keras_layer("MaxPooling2D"),
    frozen_layer("Conv2D", 6, 3, seed=2),
    frozen_layer("DepthwiseConv2D", 2, seed=3),
    keras_layer("GlobalAveragePooling2D"),
)
EMBEDDING = (
    frozen_layer("Embedding", 30, 6),
    frozen_layer("Conv1D", 16, 3, activation="relu", seed=2),
    keras_layer("GlobalMaxPooling1D"),
)
PARTLY = (
    frozen_layer("Dense", 60, activation="relu"),
    frozen_layer("Dense", 8, seed=2, trainable=True),
    frozen_layer("Dense", 8, seed=3),
)
NETWORKS = {  # data, model, how many products and convolutions are computed once, leaves of x kept
    "dense": (rows, over((20,), *DENSE), 2, ()),
    "zero columns": (rows_with_zeros, over((20,), *DENSE), 2, ()),
    "convolutions": (images, over((8, 8, 2), *CONVOLUTIONS), 3, ()),
    "embedding": (words, over((10,), *EMBEDDING, dtype="int32"), 1, ()),
    "partly frozen": (rows, over((20,), *PARTLY), 1, ()),
    "two inputs": (two_inputs, of_two_inputs, 2, ()),
    "x twice": (rows, of_x_twice, 2, (0,)),
}


def problem_with(data, build_model, space=SPACE):
    problem = problem_of(build_model, space, data)
    return problem, load_data(problem)


def trials_of(problem, fold=None, seed=0, epochs=2):
    configurations = [problem.grid[i] for i in range(problem.grid.size)]
    return [Trial(i, own, seed, epochs, i, fold) for i, own in enumerate(configurations)]


def program_of(problem, data, trials):
    members = [
        vectorized.Member(
            trial.configuration,
            trial.seed,
            vectorized.look_at(problem, data, trial.configuration, trial.seed),
            [trial],
            fold=trial.fold,
        )
        for trial in trials
    ]
    return vectorized.program_of(vectorized.Task(problem, data, UNPACKED), members)


def packed(problem, data, trials, **given):
    reports = list(vectorized.train_pack(problem, data, trials, UNPACKED, **given))
    told = {outcome.trial.key: outcome for report in reports for outcome in report.outcomes}
    return [told[trial.key] for trial in trials], reports[-1]


def alike(one, other, rel):
    assert (one.status, len(one.curve)) == ("ok", len(other.curve))
    for logs, others in zip(one.curve, other.curve, strict=True):
        assert logs == pytest.approx(others, rel=rel, abs=1e-6)
    assert one.metrics == pytest.approx(other.metrics, rel=rel, abs=1e-6)


def without(monkeypatch):
    monkeypatch.setattr(frozen, "LEAST_SHARE", 2.0)
    forget_programs()


def costly(prefix):
    return sum(each.name in frozen.COSTLY for each in prefix.traced.body.operations)


SLOW = ("dense", "embedding", "partly frozen", "two inputs")


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NETWORKS]
)
def network(request):
    data, build_model, products, leaves = NETWORKS[request.param]
    return (*problem_with(data, build_model), products, leaves)


def test_it_is_cut_off_and_trains_as_without_and_as_keras_does(network, monkeypatch):
    problem, data, products, leaves = network
    trials = trials_of(problem)
    prefixes = program_of(problem, data, trials).prefixes
    assert {*prefixes} == {"train", "test"}
    for prefix in prefixes.values():
        assert (costly(prefix), prefix.leaves) == (products, leaves)
        assert prefix.share > 0.4
    ours, _ = packed(problem, data, trials)
    without(monkeypatch)
    assert not program_of(problem, data, trials).prefixes
    for one, other in zip(ours, packed(problem, data, trials)[0], strict=True):
        assert one.engine == other.engine == "vectorized"
        alike(one, other, 1e-5)
    alike(ours[0], fit(problem, data, 0), 1e-4)


def test_rows_of_a_batch_do_not_tell_on_each_other(network):
    problem, data, _, _ = network
    program = program_of(problem, data, trials_of(problem)[:1])
    prefix, state = program.prefixes["train"], program._members[0].state
    x = data["train"][0]
    leaves = [x[name] for name in sorted(x)] if isinstance(x, dict) else [x]
    fixed = [state[place] for place in prefix.places]
    made = [np.asarray(each) for each in prefix.in_place_of(x, state)]
    kept = made if isinstance(prefix.in_place_of(x, state), list) else [np.stack(made)]
    order = np.random.default_rng(1).permutation(TRAIN)[: prefix.rows]
    again = evaluate(prefix.traced, {}, [*fixed, *(leaf[order] for leaf in leaves)])
    for whole, own in zip(kept[len(prefix.leaves) :], again, strict=True):
        np.testing.assert_allclose(own, whole[order], rtol=1e-4, atol=1e-6)


NOISE = keras_layer("Dropout", 0.4)
FLIPPED = keras_layer("RandomFlip")
ENDING = {  # data, model, products and convolutions computed once in training and in scoring
    "dropout": (rows, over((20,), DENSE[0], NOISE, DENSE[1]), 1, 2),
    "augmentation": (images, over((8, 8, 2), FLIPPED, *CONVOLUTIONS), 0, 3),
    "trained first": (
        rows,
        over((20,), frozen_layer("Dense", 20, trainable=True), *DENSE),
        0,
        0,
    ),
    "moving averages": (
        rows,
        over((20,), keras_layer("BatchNormalization"), *DENSE),
        0,
        0,
    ),
    "not frozen": (rows, over((20,), keras_layer("Dense", 60)), 0, 0),
}


@pytest.mark.parametrize("name", ENDING)
def test_noise_and_what_is_trained_end_it(name, monkeypatch):
    data, build_model, *products = ENDING[name]
    problem, data = problem_with(data, build_model)
    trials = trials_of(problem)
    prefixes = program_of(problem, data, trials).prefixes
    found = [costly(prefixes[step]) if step in prefixes else 0 for step in ("train", "test")]
    assert found == products
    ours, _ = packed(problem, data, trials)
    without(monkeypatch)
    for one, other in zip(ours, packed(problem, data, trials)[0], strict=True):
        alike(one, other, 1e-5)


def test_another_seed_has_other_weights_in_the_backbone_which_is_then_not_fixed():
    def build_model(config):
        import keras

        inputs = keras.Input((20,))
        h = keras.layers.Dense(60, activation="relu", trainable=False)(inputs)
        return head(inputs, h, config)

    problem, data = problem_with(rows, build_model)
    one, other = trials_of(problem)[0], trials_of(problem, seed=1)[0]
    assert program_of(problem, data, [one]).prefixes
    assert not program_of(problem, data, [one, other]).prefixes


@pytest.mark.parametrize("name", ["dropout", "dense"])
def test_folds_and_seeds_read_what_is_kept_by_their_own_rows(name, monkeypatch):
    made, build_model, *_ = {**NETWORKS, **ENDING}[name]

    def joined():
        data = made()
        pairs = zip(data["train"], data["validation"], strict=True)
        return tuple(np.concatenate(pair) for pair in pairs)

    problem = problem_of(build_model, SPACE, joined, folds=3)
    data = load_data(problem)
    trials = [each for fold in range(3) for each in trials_of(problem, fold, seed=fold)]
    program = program_of(problem, data, trials)
    assert program.apart
    assert {*program.prefixes} >= {"train", "test"}
    ours, _ = packed(problem, data, trials)
    if name == "dense":
        fitted = vectorized.fit_on(problem, data, trials[-1], "").outcome
        alike(ours[-1], fitted, 1e-4)
    without(monkeypatch)
    for one, other in zip(ours, packed(problem, data, trials)[0], strict=True):
        alike(one, other, 1e-5)


def test_members_have_their_own_dropout_in_the_head_and_a_training_goes_on():
    data, build_model, *_ = NETWORKS["convolutions"]
    problem, data = problem_with(data, build_model, {**SPACE, "dropout": [0.1, 0.5]})
    whole, _ = packed(problem, data, trials_of(problem))
    assert len({outcome.curve[-1]["loss"] for outcome in whole}) == len(whole)
    _, report = packed(problem, data, trials_of(problem, epochs=1), pauses=True)
    going_on = dict(report.paused)
    assert len(going_on) == len(whole)
    again, _ = packed(problem, data, trials_of(problem), going_on=going_on)
    for one, other in zip(again, whole, strict=True):
        alike(one, other, 1e-5)


def test_heads_of_other_widths_take_what_was_computed_for_the_first(monkeypatch):
    data, build_model, *_ = NETWORKS["dense"]
    problem, data = problem_with(data, build_model, {**SPACE, "width": [4, 7]})
    computed = []
    own = frozen.Prefix._computed

    def counted(self, *given):
        computed.append(self)
        return own(self, *given)

    monkeypatch.setattr(frozen.Prefix, "_computed", counted)
    forget_programs()
    outcomes, _ = packed(problem, data, trials_of(problem))
    assert {outcome.engine for outcome in outcomes} == {"vectorized"}
    assert len(computed) == 3  # of each split once


def test_what_memory_cannot_hold_is_not_kept(monkeypatch):
    data, build_model, *_ = NETWORKS["dense"]
    problem, data = problem_with(data, build_model)
    trials = trials_of(problem)[:1]
    row = program_of(problem, data, trials).prefixes["train"].row_bytes
    assert row == 8 * 4
    monkeypatch.setattr(frozen, "memory_limit", lambda: 200 * row - 1)
    assert not program_of(problem, data, trials).prefixes
    monkeypatch.setattr(frozen, "memory_limit", lambda: 200 * row)
    assert program_of(problem, data, trials).prefixes
