"""The engine `vectorized`, on real Keras: the same answers as `fit`, whoever is in the pack."""

import itertools
import re

import numpy as np
import pytest

from tests.conftest import DIVERGING, PROBLEMS, changed, packing_of, train_pack, trial_at
from tuning.engines import reports, vectorized
from tuning.engines.models import compiled_model
from tuning.engines.program import LONG, Program
from tuning.problem.data import n_samples
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")

OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam")
ACTIVATIONS = ("relu", "elu", "tanh", "sigmoid", "softplus")


def load(path):
    problem, packing = packing_of(path)
    return problem, load_data(problem), packing


@pytest.fixture(scope="module")
def dense():
    return load(PROBLEMS / "dense.py")


@pytest.fixture(scope="module")
def lifted():
    return load(PROBLEMS / "lifted.py")


def trials_of(problem, **given):
    """The trials with these values, all values of the axes not given."""
    values = [given.get(name, axis) for name, axis in problem.grid.axes.items()]
    choices = [value if isinstance(value, tuple) else (value,) for value in values]
    names = problem.grid.axes
    return [
        problem.grid.index(dict(zip(names, chosen, strict=True)))
        for chosen in itertools.product(*choices)
    ]


def one_program(problem, **given):
    return trials_of(
        problem, **{"batch_size": 25, "optimizer": "adam", "activation": "tanh", **given}
    )


def same(one, other):
    """Whether two outcomes agree to the rounding of float32 sums."""
    assert (one.trial.index, one.status, len(one.curve)) == (
        other.trial.index,
        other.status,
        len(other.curve),
    )
    for name, value in one.metrics.items():
        assert other.metrics[name] == pytest.approx(value, rel=2e-4, abs=1e-6), name
    for logs, others in zip(one.curve, other.curve, strict=True):
        for name, value in logs.items():
            assert others[name] == pytest.approx(value, rel=2e-4, abs=1e-6), name
    return True


def weights_by_keras(problem, data, configuration, order):
    """One epoch by Keras' own fit, unshuffled, of rows in this order."""
    model = compiled_model(problem, configuration, seed=0)
    (x, y) = data["train"]
    x = {name: array[order] for name, array in x.items()} if isinstance(x, dict) else x[order]
    model.fit(x, y[order], batch_size=configuration["batch_size"], shuffle=False, verbose=0)
    return [np.asarray(variable.value) for variable in model.trainable_variables]


def program_of(problem, data, configurations, packing, *, epochs=1):
    """The program of some configurations."""
    members = [
        vectorized.Member(
            configuration,
            0,
            vectorized.look_at(problem, data, configuration, 0, drawn=packing.drawn),
            [Trial(0, configuration, 0, epochs)],
        )
        for configuration in configurations
    ]
    return vectorized.program_of(vectorized.Task(problem, data, packing), members)


def weights_by_pack(problem, data, configurations, packing, order):
    """The same of several configurations by one program: a list of weights for each."""
    program = program_of(problem, data, configurations, packing)
    n = len(configurations)
    state, _ = program.epoch(program.start(range(n)), program.batches([order]))
    model = compiled_model(problem, configurations[0], seed=0)
    pairs = list(zip(state.variables, program._axes, strict=True))[: len(model.trainable_variables)]
    return [[np.take(np.asarray(w), i, axis) for w, axis in pairs] for i in range(n)]


@pytest.mark.parametrize(
    ("optimizer", "activation"),
    [
        *((name, "relu") for name in OPTIMIZERS),
        *(pytest.param("adam", name, marks=pytest.mark.slow) for name in ACTIVATIONS[1:]),
    ],
)
def test_an_epoch_gives_the_weights_that_keras_fit_gives(dense, optimizer, activation):
    problem, data, packing = dense
    order = np.random.default_rng(7).permutation(105)  # 16 leaves a short last batch of 9
    given = {"batch_size": 16, "optimizer": optimizer, "activation": activation, "epochs": 4}
    trials = trials_of(problem, **given, dropout_1=0.0, dropout_2=0.0)
    configurations = [problem.grid[trial] for trial in trials]
    packed = weights_by_pack(problem, data, configurations, packing, order)
    assert len(packed) == 2
    for configuration, weights in zip(configurations, packed, strict=True):
        for one, other in zip(
            weights_by_keras(problem, data, configuration, order), weights, strict=True
        ):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_small_cnn_with_all_that_is_lifted_gives_the_weights_that_keras_fit_gives(lifted):
    problem, data, packing = lifted
    order = np.random.default_rng(7).permutation(72)
    quiet = dict.fromkeys(["dropout", "alpha", "gaussian", "noise", "spatial"], 0.0)
    base = {**problem.grid[0], **quiet, "epochs": 1, "l1": 0.0005, "smoothing": 0.05}
    loud = {"l2": 0.01, "l1": 0.002, "activity": 0.01, "smoothing": 0.1, "weight_decay": 0.1}
    configurations = [base, {**base, **loud}, {**base, "learning_rate": 0.01}]
    packed = weights_by_pack(problem, data, configurations, packing, order)
    by_keras = [weights_by_keras(problem, data, c, order) for c in configurations]
    for ours, theirs in zip(packed, by_keras, strict=True):
        for one, other in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
    for weights in by_keras[1:]:  # and each of these numbers matters
        assert any(not np.allclose(a, b) for a, b in zip(weights, by_keras[0], strict=True))


def test_the_same_answer_whoever_trains_it(dense):
    problem, data, packing = dense
    trials = one_program(problem)
    assert len(trials) == 24
    pack = {o.trial.index: o for o in train_pack(problem, data, trials, 0, packing)}
    assert {o.status for o in pack.values()} == {"ok"}
    assert {o.engine for o in pack.values()} == {"vectorized"}
    for trial in trials[::7]:
        (alone,) = train_pack(problem, data, [trial], 0, packing)
        assert same(pack[trial], alone)
    some = trials[5:17][::-1]
    outcomes = train_pack(problem, data, some, 0, packing)
    assert [o.trial.index for o in outcomes] == some
    assert all(same(pack[o.trial.index], o) for o in outcomes)
    (other_seed,) = train_pack(problem, data, [trials[0]], 1, packing)
    assert other_seed.metrics["val_loss"] != pack[trials[0]].metrics["val_loss"]


def test_a_shorter_training_is_the_beginning_of_a_longer_one(dense):
    problem, data, packing = dense
    short, long = one_program(problem, learning_rate=0.001, dropout_1=0.5, dropout_2=0.2)
    both = {o.trial.index: o for o in train_pack(problem, data, [long, short], 0, packing)}
    (alone,) = train_pack(problem, data, [short], 0, packing)
    assert len(both[long].curve) == 4
    assert both[long].curve[:2] == both[short].curve
    assert same(both[short], alone)
    assert 0 < both[long].seconds == pytest.approx(sum(both[long].epoch_seconds[2:]))


def test_fit_and_a_pack_agree_where_there_is_no_noise(dense):
    from tests.conftest import fit

    problem, data, packing = dense
    (trial,) = one_program(problem, learning_rate=0.001, dropout_1=0.0, dropout_2=0.0, epochs=4)
    (packed,) = train_pack(problem, data, [trial], 0, packing)
    by_fit = fit(problem, data, trial, 0)
    assert list(packed.curve[0]) == list(by_fit.curve[0])
    assert sorted(packed.metrics) == sorted(by_fit.metrics)
    assert same(by_fit, packed)


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path):
    path = changed(tmp_path, *DIVERGING)
    problem, data, packing = load(path)
    trials = trials_of(problem, batch_size=16, units=8, activation="relu")
    outcomes = {o.trial.index: o for o in train_pack(problem, data, trials, 0, packing)}
    fine = [t for t in trials if problem.grid[t]["learning_rate"] == 0.001]
    lost = [t for t in trials if t not in fine]
    assert {outcomes[t].status for t in lost} == {"diverged"}
    assert {outcomes[t].error for t in lost} == {"the loss was not finite in epoch 1"}
    assert outcomes[lost[0]].metrics == {}
    without = {o.trial.index: o for o in train_pack(problem, data, fine, 0, packing)}
    assert all(same(without[t], outcomes[t]) for t in fine)


def test_a_value_outside_its_domain_fails_that_trial_alone(tmp_path):
    path = changed(
        tmp_path,
        ('"epochs": [1, 2],', '"rate": [0.1, 1.2], "epochs": [1, 2],'),
        ("Dropout(0.1)", 'Dropout(config["rate"])'),
    )
    problem, data, packing = load(path)
    trials = trials_of(problem, batch_size=16, units=8, activation="relu", learning_rate=0.1)
    outcomes = train_pack(problem, data, trials, 0, packing)
    assert [o.status for o in outcomes] == ["ok", "ok", "failed", "failed"]
    assert outcomes[2].error.startswith("ValueError: Invalid value received for argument `rate`")


def test_what_is_not_as_discovery_found_it_trains_alone_and_right(tmp_path):
    """Two axes that change nothing one at a time, and the network together."""
    path = changed(
        tmp_path,
        ('"epochs": [1, 2],', '"a": [0, 1], "b": [0, 1], "epochs": [1, 2],'),
        ('Dense(config["units"]', 'Dense(config["units"] + config["a"] * config["b"]'),
    )
    problem, data, packing = load(path)
    assert packing.axes["a"].kind == packing.axes["b"].kind == "lifted"
    trials = trials_of(
        problem, batch_size=16, units=8, activation="relu", learning_rate=0.1, epochs=2
    )
    outcomes = train_pack(problem, data, trials, 0, packing)
    assert [o.status for o in outcomes] == ["ok"] * 4
    assert len({o.metrics["val_loss"] for o in outcomes[:3]}) == 1
    assert outcomes[3].metrics["val_loss"] != outcomes[0].metrics["val_loss"]
    (alone,) = train_pack(problem, data, [trials[3]], 0, packing)
    assert same(outcomes[3], alone)


def test_a_program_whose_own_model_does_not_build_costs_only_those_that_do_not(tmp_path):
    path = changed(
        tmp_path,
        ('"epochs": [1, 2],', '"rate": [0.0, 0.5], "epochs": [2],'),
        ("Dropout(0.1)", 'Dropout(config["rate"])'),
        (
            "    import keras\n",
            "    import keras\n    assert config['units'] * config['rate'] != 4, 'no'\n",
        ),
    )
    problem, data, packing = load(path)
    assert packing.drawn
    trials = trials_of(problem, batch_size=16, units=8, activation="relu", learning_rate=0.1)
    outcomes = train_pack(problem, data, trials, 0, packing)
    assert [(o.status, o.error) for o in outcomes] == [("ok", ""), ("failed", "AssertionError: no")]


def test_what_cannot_be_vectorized_trains_by_fit_and_its_row_says_so(dense, monkeypatch):
    problem, data, packing = dense
    monkeypatch.setattr(Program, "_trained", lambda *_: 1 / 0)
    outcomes = train_pack(problem, data, one_program(problem, learning_rate=0.01)[:2], 0, packing)
    why = "fit: packed, it fails: ZeroDivisionError: division by zero"
    assert [(o.status, o.engine) for o in outcomes] == [("ok", why)] * 2


def test_a_pack_out_of_memory_is_halved(dense, monkeypatch):
    problem, data, packing = dense
    sizes = []
    epoch = Program.epoch

    def scarce(self, state, batches):
        sizes.append(len(state.members))
        if sizes[-1] > 3:
            raise MemoryError
        return epoch(self, state, batches)

    trials = one_program(problem, epochs=2)
    whole = train_pack(problem, data, trials, 0, packing)
    monkeypatch.setattr(Program, "epoch", scarce)
    halved = train_pack(problem, data, trials, 0, packing)
    assert sizes[:3] == [12, 6, 3]
    assert all(same(one, other) for one, other in zip(whole, halved, strict=True))
    assert {o.engine for o in halved} == {"vectorized"}


def test_what_is_finished_is_told_while_the_rest_is_trained(dense, monkeypatch):
    problem, data, packing = dense
    trials = one_program(problem)
    monkeypatch.setattr(reports, "REPORT_SECONDS", 0)
    monkeypatch.setattr(vectorized, "MOST_AT_ONCE", 5)
    asked = [trial_at(problem, index) for index in trials]
    told = list(vectorized.train_pack(problem, data, asked, packing))
    each = [problem.grid[o.trial.index]["epochs"] for report in told for o in report.outcomes]
    assert each == [2] * 12 + [4] * 12
    assert sum(len(report.epoch_seconds) for report in told) == 12 * 4
    assert [len(report.epoch_seconds) for report in told][:3] == [4, 4, 4]
    spent = sum(second for report in told for second in report.epoch_seconds)
    assert 0 < spent <= sum(report.seconds for report in told)


def test_what_was_told_before_memory_ran_out_is_not_told_again(dense, monkeypatch):
    problem, data, packing = dense
    trials = one_program(problem)
    whole = train_pack(problem, data, trials, 0, packing)
    epoch, calls = Program.epoch, []

    def scarce(self, state, batches):
        calls.append(len(state.members))
        if len(calls) == 4:
            raise MemoryError
        return epoch(self, state, batches)

    monkeypatch.setattr(reports, "REPORT_SECONDS", 0)
    monkeypatch.setattr(Program, "epoch", scarce)
    again = train_pack(problem, data, trials, 0, packing)
    assert calls[:5] == [12, 12, 12, 12, 6]
    assert all(same(one, other) for one, other in zip(whole, again, strict=True))


def test_blocks_are_trained_one_after_another_with_the_same_answer(dense, monkeypatch):
    problem, data, packing = dense
    trials = one_program(problem)
    whole = train_pack(problem, data, trials, 0, packing)
    monkeypatch.setattr(vectorized, "MOST_AT_ONCE", 5)
    blocks = train_pack(problem, data, trials, 0, packing)
    assert all(same(one, other) for one, other in zip(whole, blocks, strict=True))


def test_a_member_alone_has_no_kernel_copied_at_its_steps(dense):
    """With its axis of length one, XLA forms a gradient transposed, and copies it."""
    problem, data, packing = dense
    configuration = {**problem.grid[0], "neurons": 8, "dropout_1": 0.5, "dropout_2": 0.5}
    program = program_of(problem, data, [configuration], packing, epochs=LONG)
    state = program.start(range(1))
    program.epoch(state, program.batches([np.arange(n_samples(data["train"][0]))]))
    steps = program._compiled[1]["steps"]
    assert not re.search(r"f32\[(1,)?8,8\]\S* copy\(%transpose", steps.as_text())


def test_kernels_that_meet_the_same_rows_are_one_matrix(dense):
    problem, data, packing = dense
    configurations = [{**problem.grid[0], "learning_rate": rate} for rate in (0.001, 0.1)]
    program = program_of(problem, data, configurations, packing)
    first = program.start(range(2)).variables[0]
    assert program._axes[0] == 1
    assert first.shape[1] == 2
    program.epoch(program.start(range(2)), program.batches([np.arange(105)]))
    columns, width = first.shape[0], first.shape[2]
    hlo = program._compiled[2]["step"].as_text()
    assert re.search(rf"f32\[\d+,2,{width}\]|f32\[\d+,{2 * width}\]", hlo)
    assert not re.search(rf"f32\[2,{columns},{width}\]", hlo)


def test_seeds_are_members_and_each_equals_its_own_run(dense):
    """Initial weights, noise and order of rows of each seed, in one pack."""
    problem, data, packing = dense
    trials = one_program(problem, learning_rate=(0.001, 0.01), dropout_1=0.5, epochs=2)[:2]
    seeds = [0, 0, 3, 7]
    several = [trials[0], trials[1], trials[0], trials[0]]
    asked = [trial_at(problem, *each) for each in zip(several, seeds, strict=True)]
    told = list(vectorized.train_pack(problem, data, asked, packing))
    outcomes = {(o.trial.index, o.trial.seed): o for report in told for o in report.outcomes}
    assert len(outcomes) == 4
    assert {o.engine for o in outcomes.values()} == {"vectorized"}
    for trial, seed in zip(several, seeds, strict=True):
        (alone,) = train_pack(problem, data, [trial], seed, packing)
        assert same(alone, outcomes[trial, seed])
    losses = {o.metrics["val_loss"] for o in outcomes.values()}
    assert len(losses) == 4


def test_what_all_members_share_is_held_once(dense):
    problem, data, packing = dense
    configurations = [{**problem.grid[0], "learning_rate": rate} for rate in (0.001, 0.1)]
    program = program_of(problem, data, configurations, packing)
    paths = program._members[0].paths
    shared = [path for path, axis in zip(paths, program._axes, strict=False) if axis is None]
    assert {path.split("/")[-1] for path in shared} == {"iteration", "seed_generator_state"}


def test_a_batch_larger_than_the_data_is_one_short_batch(tmp_path):
    path = changed(tmp_path, ('"batch_size": [16, 64]', '"batch_size": [500]'))
    problem, data, packing = load(path)
    outcomes = train_pack(problem, data, [0, 1], 0, packing)
    assert [o.status for o in outcomes] == ["ok", "ok"]


SORTED = """
    class Sorted(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sort(x)

"""


def test_where_keras_is_faster_it_trains_by_fit_and_the_row_says_so(tmp_path, monkeypatch):
    path = changed(
        tmp_path,
        ("    import keras\n", f"    import keras\n{SORTED}"),
        ("keras.layers.Dropout(0.1)", "Sorted()"),
        ('"epochs": [1, 2]', '"epochs": [1, 4]'),
    )
    problem, data, packing = load(path)
    trials = trials_of(problem, batch_size=16, units=8, activation="relu", epochs=4)
    (first, *_) = train_pack(problem, data, trials, 0, packing)
    assert first.engine == "vectorized"  # so short that it is not asked
    monkeypatch.setattr(vectorized, "COMPARED_SECONDS", 0)
    monkeypatch.setattr(vectorized, "FASTER", 0)
    (first, *_) = train_pack(problem, data, trials, 0, packing)
    assert first.status == "ok"
    assert re.match(
        r"fit: it is faster, \S+ ms a step on JAX in place of .* slow in a pack: sort", first.engine
    )
