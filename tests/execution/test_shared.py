"""One copy of a problem's data for all worker processes, in a file without a name."""

import errno
import os
import tempfile

import numpy as np
import pytest

from tuning import TuningError
from tuning.execution import shared
from tuning.execution.shared import SharedFiles, read

ARRAYS = {"x": np.arange(12.0).reshape(3, 4), "text": np.array(["a", "bc"]), "one": np.ones(1)}


@pytest.fixture
def files():
    made = SharedFiles()
    yield made
    made.close()


def check(files, place):
    value, arrays = read(files.descriptors, place)
    assert value == "a value"
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        assert not arrays[name].flags.writeable
        assert arrays[name].ctypes.data % shared.ALIGNED == 0


def test_what_is_written_is_read_without_a_copy(files):
    place = files.write(("a value", ARRAYS))
    check(files, place)
    own = read(files.descriptors, place)[1]["one"]
    os.pwrite(files.descriptors[place.file], np.float64(7).tobytes(), place.arrays[2][0])
    assert own.tolist() == [7.0]


def test_where_memory_is_short_the_disk_is_taken(files, monkeypatch):
    monkeypatch.setattr(shared, "MEMORY_SHARE", 0)
    place = files.write(("a value", ARRAYS))
    assert place.file == len(files.descriptors) - 1
    check(files, place)


def test_where_memory_fills_up_the_disk_is_taken(files, monkeypatch):
    write, full = shared._write, files._files[0]

    def fills_up(file, offset, part):
        if file is full and offset:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, offset, part)

    monkeypatch.setattr(shared, "_write", fills_up)
    if len(files.descriptors) == 1:
        with pytest.raises(TuningError, match="No space left on device"):
            files.write(("a value", ARRAYS))
        return
    check(files, files.write(("a value", ARRAYS)))
    assert os.fstat(files.descriptors[0]).st_size == 0


def test_the_files_have_no_names(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shared, "IN_MEMORY", str(tmp_path))
    made = SharedFiles()
    made.write(("a value", ARRAYS))
    assert list(tmp_path.iterdir()) == []
    made.close()
