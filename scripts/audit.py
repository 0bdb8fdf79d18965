"""Print what each number of Keras' API is to a pack: `python scripts/audit.py > docs/lifted.md`."""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.audit import cases, examined, page
from tuning.execution.worker import prepare

if __name__ == "__main__":
    prepare("jax")
    print(page([examined(case) for case in cases()]))
