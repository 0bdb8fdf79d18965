"""What each number of Keras' public API is to a pack, found by building and tracing, as a table.

The classes are those of Keras' public modules; their numbers are those that their constructors
take, as defaults and documentation tell. Of each number two models are built that differ in it
alone. What introspection cannot know stands in the tables `VALUES`, `WITH`, `NEEDED` and
`NOT_TRIED`.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tuning import Grid, Problem
from tuning.compatibility.keras import noisy_layers
from tuning.engines.models import compiled_model
from tuning.engines.vectorized import look_at
from tuning.errors import first_line
from tuning.packing.differences import lifted_difference, structural_difference
from tuning.packing.sameness import Steps, equal
from tuning.packing.trace import Unproven
from tuning.problem.data import Data
from tuning.problem.file import ProblemFile
from tuning.space.grid import Configuration

MODULES = {
    "optimizer": "optimizers", "schedule": "optimizers.schedules", "loss": "losses",
    "layer": "layers", "regularizer": "regularizers", "constraint": "constraints",
    "initializer": "initializers", "metric": "metrics",
}  # fmt: skip

VALUES: dict[str, tuple[Any, Any]] = {
    **dict.fromkeys(("epsilon", "epsilon_1", "epsilon_2"), (0.001, 0.01)),
    **dict.fromkeys(("decay_steps", "first_decay_steps"), (3, 6)),
    **dict.fromkeys(("recall", "precision", "specificity", "sensitivity"), (0.4, 0.6)),
    **dict.fromkeys(("brightness_factor", "contrast_factor", "hue_factor"), (0.1, 0.2)),
    **dict.fromkeys(("height_factor", "width_factor", "saturation_factor"), (0.1, 0.2)),
    **dict.fromkeys(("threshold", "thresholds", "factor"), (0.3, 0.4)),
    **dict.fromkeys(("initial_scale", "loss_scale_factor"), (1024.0, 4096.0)),
    **dict.fromkeys(("clipnorm", "global_clipnorm"), (0.4, 0.8)),
    "clipvalue": (0.1, 0.2),
    "AUC.thresholds": ([0.3, 0.5], [0.4, 0.6]),
    "bin_boundaries": ([-0.5, 0.5], [-0.2, 0.2]),
    "boundaries": ([2], [3]),
    "decay_rate": (0.5, 0.7),
    "end_learning_rate": (0.01, 0.02),
    "fill_value": (0.1, 0.2),
    "idf_weights": ([0.1, 0.2], [0.3, 0.4]),
    **dict.fromkeys(("learning_rate", "initial_learning_rate"), (0.05, 0.1)),
    "logit_soft_cap": (0.02, 0.04),
    "lora_alpha": (2.0, 3.0),
    "max_freq": (4000.0, 6000.0),
    "max_value": (0.5, 0.8),
    "mean": (0.1, 0.2),
    "RandomPosterization.factor": (3, 5),
    "min_value": (0.8, 0.95),
    "muon_a": (3.3, 3.5),
    "muon_b": (-4.7, -4.8),
    "muon_c": (2.0, 2.1),
    "renorm_clipping": ({"rmax": 1.5, "rmin": 0.5, "dmax": 1}, {"rmax": 2, "rmin": 0.4, "dmax": 2}),
    "value_range": ((0, 255), (0, 1)),
    "values": ([0.1, 0.01], [0.2, 0.02]),
    "variance": (1.5, 2.0),
    **dict.fromkeys(("weight_decay", "adam_weight_decay"), (0.1, 0.3)),
    "warmup_steps": (2, 3),
    "warmup_target": (0.2, 0.3),
}
"""By argument, or class and argument: two values to try, also of what no default and no
documentation tells to be a number. All others get fractions of their default, or 0.1 and 0.2."""

WITH: dict[str, dict[str, Any]] = {
    "Adadelta": {"learning_rate": 1.0},
    "ema_momentum": {"use_ema": True},
    "LossScaleOptimizer": {"inner_optimizer": lambda: _optimizer("SGD", 0.05)},
    "MultiOptimizer": {
        "optimizer_map": lambda: _optimizer("OptimizerMap", _optimizer("SGD", 0.05))
    },
    "CosineDecay.warmup_target": {"warmup_steps": 2},
    "CosineDecay.warmup_steps": {"warmup_target": 0.3},
    "BinaryFocalCrossentropy.alpha": {"apply_class_balancing": True},
    "BatchNormalization.renorm_momentum": {"renorm": True},
    "BatchNormalization.renorm_clipping": {"renorm": True},
    "GroupNormalization": {"groups": 2},
    "GroupQueryAttention": {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1},
    "fill_value": {"fill_mode": "constant"},
    "RandomShear.fill_value": {"x_factor": 0.5},
    "Resizing.fill_value": {"width": 9, "pad_to_aspect_ratio": True},
    "clip_limit": {"tile_grid_size": (2, 2), "value_range": (0, 1)},
    "RandomColorJitter.value_range": {"brightness_factor": 0.2},
    "Discretization.epsilon": {"bin_boundaries": [-0.5, 0.5]},
    "MelSpectrogram": {"fft_length": 16, "sequence_stride": 4, "num_mel_bins": 4},
    "Normalization.mean": {"variance": 2.0},
    "Normalization.variance": {"mean": 0.5},
    "lora_alpha": {"lora_rank": 2},
    "EinsumDense": {"equation": "ab,bc->ac", "output_shape": 3},
    "IntegerLookup": {"vocabulary": [1, 2], "output_mode": "tf_idf"},
}
"""By class, argument, or class and argument: other arguments, so that the number counts."""

NEEDED: dict[str, Any] = {
    "units": 3, "filters": 2, "kernel_size": 2, "num_heads": 2, "key_dim": 2, "height": 6,
    "width": 6, "input_dim": 5, "output_dim": 3,
}  # fmt: skip
"""Arguments that have no default and are no numbers."""

NOT_TRIED = {
    "Optimizer": "made to be inherited from",
    "StringLookup": "it takes text, which is no array of numbers",
    "TextVectorization": "it takes text, which is no array of numbers",
    "MaxNumBoundingBoxes": "it takes bounding boxes, which is no array of numbers",
}
SHAPES: tuple[tuple[tuple[int, ...], str], ...] = (
    ((16,), "float32"), ((6, 4), "float32"), ((8, 8, 3), "float32"), ((3, 6, 6, 2), "float32"),
    ((2, 4, 4, 4, 2), "float32"), ((6,), "int32"),
)  # fmt: skip
IMAGE = SHAPES[2]
CALLS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda layer, x: layer(x),
    lambda layer, x: layer([x, x]),
    lambda layer, x: layer(x, x),
)
BACK = (lambda layer, x: layer(layer(x), reverse=True),)  # of a ReversibleEmbedding
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
ROWS = {"train": 24, "validation": 16, "test": 8}
BATCH_SIZE, EPOCHS = 8, 2


@functools.cache
def public(kind: str) -> dict[str, Any]:
    """The public classes of a kind by name, each once."""
    import keras

    module = functools.reduce(getattr, MODULES[kind].split("."), keras)
    found: dict[Any, str] = {}
    for name, value in sorted(vars(module).items()):
        if isinstance(value, type) and (value not in found or value.__name__ == name):
            found[value] = name
    return {name: value for value, name in found.items()}


def _optimizer(name: str, *arguments: Any) -> Any:
    return public("optimizer")[name](*arguments)


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The named arguments of a class's constructor."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {each.name: each for each in parameters if each.kind not in VARIADIC}


def _documented(kind: type) -> dict[str, str]:
    """What the documentation says of each argument."""
    text = inspect.getdoc(kind) or ""
    arguments = re.search(r"Args:\n(.*?)(?=\n[A-Z]\w[\w ]*:\n|\Z)", text, re.DOTALL)
    parts = re.split(r"^ {1,4}`?(\w+)`?:", arguments[1] if arguments else "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _numbers(name: str, kind: type) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The arguments of a class that are numbers, each with two values."""
    documented = _documented(kind)
    for argument, parameter in _parameters(kind).items():
        default = parameter.default
        known = VALUES.get(f"{name}.{argument}", VALUES.get(argument))
        if known and argument not in NEEDED and not isinstance(default, bool):
            yield argument, known
        elif isinstance(default, float) and default:
            yield argument, (float(f"{0.6 * default:.3g}"), float(f"{0.8 * default:.3g}"))
        elif isinstance(default, tuple) and any(isinstance(each, float) for each in default):
            yield argument, (tuple(0.6 * v for v in default), tuple(0.8 * v for v in default))
        elif isinstance(default, float) or _is_number(documented.get(argument, "")):
            yield argument, (0.1, 0.2)


def _is_number(said: str) -> bool:
    return bool(re.match(r"\W*(optional\W+)?(a |an |python |single )*floats?\b", said, re.I))


@dataclass(frozen=True)
class Context:
    """The model around an object: its input, what is between, and its labels."""

    shape: tuple[int, ...] = (4,)
    dtype: str = "float32"
    front: bool = True
    call: Callable[[Any, Any], Any] = CALLS[0]
    labels: str = "numbers"

    def data(self) -> Data:
        """Random rows."""
        draw = np.random.default_rng(0)
        return {split: (self._x(draw, n), self._y(draw, n)) for split, n in ROWS.items()}

    def _x(self, draw: np.random.Generator, n: int) -> np.ndarray:
        if self.dtype == "int32":
            return draw.integers(0, 3, (n, *self.shape)).astype("int32")
        if self.shape == IMAGE[0]:
            return draw.uniform(0, 1, (n, *self.shape)).astype("float32")
        return draw.normal(size=(n, *self.shape)).astype("float32")

    def _y(self, draw: np.random.Generator, n: int) -> np.ndarray:
        classes = draw.integers(0, 3, n).astype("int32")
        if self.labels == "classes":
            return classes
        return (
            np.eye(3, dtype="float32")[classes]
            if self.labels == "one-hot"
            else (draw.normal(size=(n, 1)).astype("float32"))
        )


@dataclass(frozen=True)
class Case:
    """A number of a class.

    Attributes
    ----------
    kind, name, argument : str
    values : tuple
        Two to compare, and zero.
    """

    kind: str
    name: str
    argument: str
    values: tuple[Any, ...]

    @property
    def noisy(self) -> bool:
        """Whether it draws random numbers in training."""
        own = public(self.kind)[self.name]
        return self.kind == "layer" and (own in noisy_layers() or self.name.endswith("Attention"))

    @property
    def contexts(self) -> list[Context]:
        """Models to try it in, the likeliest first."""
        if self.kind in ("loss", "metric"):
            return [Context(labels=labels) for labels in ("one-hot", "classes")]
        if self.kind != "layer":
            return [Context()]
        images = ".image_preprocessing." in public("layer")[self.name].__module__
        calls = BACK if self.argument == "logit_soft_cap" else CALLS
        shapes = [IMAGE] if images else SHAPES
        each = itertools.product(calls, shapes, (True, False))
        return [Context(shape, dtype, front, call) for call, (shape, dtype), front in each]

    def made(self, value: Any) -> Any:
        """An object of the class."""
        own = public(self.kind)[self.name]
        parameters = _parameters(own)
        given = {name: values[0] for name, values in _numbers(self.name, own)} | NEEDED
        given = {
            name: given[name]
            for name, parameter in parameters.items()
            if name == "learning_rate" or (parameter.default is parameter.empty and name in given)
        }
        for key in (self.name, self.argument, f"{self.name}.{self.argument}"):
            for name, other in WITH.get(key, {}).items():
                if name in parameters:
                    given[name] = other() if callable(other) else other
        return own(**given | {self.argument: value})

    def problem(self, context: Context) -> Problem:
        """A problem whose axis ``value`` is the number's."""
        grid = Grid({"batch_size": [BATCH_SIZE], "epochs": [EPOCHS], "value": [0, 1, 2]})
        build = functools.partial(self._model, context)
        return Problem(ProblemFile("audit", "audit", __file__, ""), grid, context.data, build)

    def _model(self, context: Context, configuration: Any) -> Any:
        import keras

        made = self.made(self.values[configuration["value"]])
        options = {self.kind: made}
        x = inputs = keras.Input(context.shape, dtype=context.dtype)
        if self.kind == "layer":
            if context.front:
                x = keras.layers.Dense(context.shape[-1], activation="tanh")(x)
            x = context.call(keras.layers.RNN(made) if self.name.endswith("Cell") else made, x)
            x = keras.ops.cast(x[0] if isinstance(x, tuple | list) else x, "float32")
            x = keras.layers.Flatten()(x)
        else:
            own = {name: options.get(name) for name in ("initializer", "regularizer", "constraint")}
            own = {f"kernel_{name}": given for name, given in own.items() if given is not None}
            x = keras.layers.Dense(3, activation="tanh", **own)(x)
        last = {"numbers": (1, None, "mse"), "one-hot": (3, "softmax", "categorical_crossentropy")}
        units, activation, loss = last.get(
            context.labels, (3, "softmax", "sparse_categorical_crossentropy")
        )
        model = keras.Model(inputs, keras.layers.Dense(units, activation=activation)(x))
        sgd = keras.optimizers.SGD(
            options.get("schedule", 0.05),
            global_clipnorm=1.0 if self.kind == "layer" else None,  # whatever size it gives
        )
        model.compile(
            optimizer=options.get("optimizer", sgd),
            loss=options.get("loss", loss),
            metrics=[made] if self.kind == "metric" else None,
        )
        return model


ONLY_TRACED = "only traced it fails"
VERDICTS = (
    "lifted", "structural", "fit", "no effect", "not on JAX", "not tried", ONLY_TRACED
)  # fmt: skip


class Row(NamedTuple):
    """What is known of a case; what zero does beside other values; why."""

    kind: str
    name: str
    argument: str
    values: str
    verdict: str
    zero: str
    reason: str


def cases() -> list[Case]:
    """All numbers of all classes."""
    return [
        Case(kind, name, argument, (*values, 0.0))
        for kind in MODULES
        for name, own in public(kind).items()
        for argument, values in _numbers(name, own)
    ]


def without_numbers(kind: str) -> list[str]:
    """The classes of a kind that have none."""
    return [name for name, own in public(kind).items() if not dict(_numbers(name, own))]


def _look(case: Case, context: Context, value: int, drawn: bool = False) -> Steps:
    problem = case.problem(context)
    configuration: Configuration = {"batch_size": BATCH_SIZE, "epochs": EPOCHS, "value": value}
    return look_at(problem, context.data(), configuration, 0, drawn=drawn, twice=value == 0)


def context_of(case: Case) -> Context | Row:
    """The first model in which it trains, or a row that says why there is none."""
    if case.name in NOT_TRIED:
        return _row(case, "not tried", "-", NOT_TRIED[case.name])
    errors: list[tuple[str, str]] = []
    for context in case.contexts:
        try:
            _look(case, context, 0)
            return context
        except Unproven as error:
            return _row(case, "fit", "-", str(error))
        except Exception as error:
            errors.append(_in_keras(case, context) or (ONLY_TRACED, first_line(error)))
    order = (ONLY_TRACED, "not on JAX", "not tried")
    verdict, why = min(errors, key=lambda each: order.index(each[0]))
    return _row(case, verdict, "-", why)


def _in_keras(case: Case, context: Context) -> tuple[str, str] | None:
    """What Keras says that cannot train it either."""
    problem, verdict = case.problem(context), "not tried"
    try:
        model = compiled_model(problem, {"value": 0}, 0)
        verdict = "not on JAX"
        model.fit(*context.data()["train"], batch_size=BATCH_SIZE, verbose=0)
    except ImportError as error:
        return "not on JAX", first_line(error)
    except Exception as error:
        return verdict, first_line(error)
    return None


def examined(case: Case) -> Row:
    """The row of a case."""
    context = context_of(case)
    if isinstance(context, Row):
        return context
    try:
        one, other = (_look(case, context, i) for i in (0, 1))
    except Exception as error:
        verdict = "fit" if isinstance(error, Unproven) else "not tried"
        return _row(case, verdict, "-", first_line(error))
    zero = _zero(case, context, (one.key, other.key))
    if one.key != other.key:
        return _row(case, "structural", zero, structural_difference(one, other))
    if equal(one, other):
        return _row(case, "no effect", zero, "the models do the same")
    return _row(case, "lifted", zero, lifted_difference([one, other]))


def _zero(case: Case, context: Context, keys: Iterable[str]) -> str:
    """What zero does beside the other values."""
    if not isinstance(case.values[0], int | float):
        return "-"
    try:
        if _look(case, context, 2).key in keys:
            return "lifted"
        one, zero = (_look(case, context, i, drawn=True) for i in (0, 2))
    except Unproven:
        return "fit"
    except Exception:
        return "-"
    return "lifted, drawn" if one.key == zero.key else "structural"


def _row(case: Case, verdict: str, zero: str, reason: str) -> Row:
    values = ", ".join(map(str, case.values[:2]))
    words = reason if len(reason) <= 100 else f"{reason[:100]}…"
    return Row(case.kind, case.name, case.argument, values, verdict, zero, " ".join(words.split()))


def rows_of(text: str) -> list[Row]:
    """The rows of a page."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    cells = (line[2:-2].split(" | ") for line in lines)
    return [Row(*(cell.replace("\\|", "|") for cell in row)) for row in cells]


def line(row: Row) -> str:
    """A row as Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def page(rows: list[Row]) -> str:
    """All rows as a page."""
    verdicts = Counter(row.verdict for row in rows)
    counts = "\n".join(
        f"- {verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]
    )
    rest = [f"- {kind}: {', '.join(names)}" for kind in MODULES if (names := without_numbers(kind))]
    return "\n".join(
        [
            INTRODUCTION.format(versions=versions(), total=len(rows), counts=counts),
            line(Row("kind", "class", "argument", "values tried", "verdict", "zero", "reason")),
            "| --- " * len(Row._fields) + "|",
            *map(line, rows),
            "",
            "Classes that take no number:",
            "",
            *rest,
        ]
    )


def versions() -> str:
    """What the table holds for."""
    import jax
    import keras

    return f"Keras {keras.__version__} on JAX {jax.__version__}"


INTRODUCTION = """# Which numbers of Keras share a program

Configurations whose models do the same operations share one compiled program and are trained
together, as a pack; what may differ between them is numbers. This is what each number of Keras'
own classes is to a pack, found by building two models that differ in it alone and comparing what
they do: optimizers, learning rate schedules, losses, layers, regularizers, constraints,
initializers and metrics, and of each all arguments of its constructor that are numbers with a
fraction, or lists of them. Whole numbers that are sizes or counts are not looked at: they change
shapes. Nothing in the product knows these names; a number of a class of your own is found alike.

It holds for {versions}, and is made anew by `python scripts/audit.py > docs/lifted.md`.

Of {total} numbers are

{counts}

**lifted**: both values share a program, and each member of a pack has its own. **structural**:
each value has a program of its own; the reason names the first thing in which they differ. **fit**:
it cannot be proven what the model does, so that each configuration is trained alone by Keras'
`fit`. **no effect**: Keras does the same with both values. **not on JAX**: Keras itself cannot
train it on JAX, and says so as the reason does. **not tried**: the reason says why.

The column *zero* tells what 0 does beside other values: *lifted*, it shares their program;
*structural*, it has its own, as where Keras leaves the operation out; *lifted, drawn*, it shares
their program because noise of strength 0 is drawn too, which `tuning` has Keras do where it
saves programs; a dash, 0 is not valid or was not tried.
"""
