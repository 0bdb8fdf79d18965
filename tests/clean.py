"""Load kept models in a process that has Keras and nothing else: no `tuning`, no user's code.

Reads from standard input the names of ``.keras`` files, each with a ``.pickle`` beside it of rows
of data by split and a batch size, and prints what each evaluates to as JSON.
"""

import json
import pickle
import sys
from pathlib import Path

import keras


def numbers(value):
    """A score as one number, or several for classes, each as ``[0]``."""
    if isinstance(value, float):
        return [("", value)]
    return [(f"[{i}]", float(each)) for i, each in enumerate(value)]


for line in sys.stdin:
    path = Path(line.strip())
    splits, batch_size = pickle.loads(path.with_suffix(".pickle").read_bytes())
    try:
        model = keras.saving.load_model(path)
        found = {
            f"{name}_{score}{place}": number
            for name, (x, y, *weights) in splits.items()
            for score, value in model.evaluate(
                x,
                y,
                sample_weight=weights[0] if weights else None,
                batch_size=batch_size,
                verbose=0,
                return_dict=True,
            ).items()
            for place, number in numbers(value)
        }
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    assert not {"tuning", "ray"} & set(sys.modules)
    print(json.dumps(found), flush=True)
