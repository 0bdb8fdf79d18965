"""One training on a backend, in seconds: the process' first with its start, and another one."""

import json
import sys
import time

import psutil
from racing import load, race, train

CONFIGURATIONS = [{"activation": "relu"}, {"activation": "tanh"}]  # of two programs
OTHERS = {"batch_size": 64, "optimizer": "adam", "neurons": 128}


def main():
    """Train a configuration to the end, and one of another program."""
    own = race()
    started = psutil.Process().create_time()
    problem, data = load(own)
    seconds = []
    for each in CONFIGURATIONS:
        configuration = {**problem.grid[0], **OTHERS, **each}
        train(own, problem, data, configuration, lambda epoch, accuracy: None)
        seconds.append(time.time() - started)
        started = time.time()
    print(json.dumps({"first": seconds[0], "second": seconds[1]}))


if __name__ == "__main__":
    sys.exit(main())
