"""What a worker keeps on the disk."""

import os

from tuning.execution import worker


def test_of_too_many_compiled_programs_the_oldest_go(tmp_path, monkeypatch):
    for age, name in enumerate(["newest", "middle", "oldest"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    monkeypatch.setattr(worker, "CACHE_BYTES", 300)
    worker._make_room(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(worker, "CACHE_BYTES", 150)
    worker._make_room(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["newest"]
    worker._make_room(tmp_path / "not there yet")
