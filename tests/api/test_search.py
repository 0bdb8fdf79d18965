"""What a search refuses before anything is trained."""

from types import SimpleNamespace

import pytest

from tests.conftest import REPOSITORY
from tuning import TuningError, load_problem
from tuning.api.search import _probe
from tuning.execution.worker import Job, probe
from tuning.problem.problem import load_data

F1 = REPOSITORY / "tests" / "zoo" / "metric_f1_vector.py"


@pytest.mark.usefixtures("worker")
def test_an_array_does_not_judge_but_one_of_its_numbers_may(tmp_path):
    def probed(metric):
        path = tmp_path / f"by_{metric[-2]}.py"
        beside = f"import sys\nsys.path.append({str(F1.parent)!r})\n"
        path.write_text(f"{beside}{F1.read_text()}metric = {metric!r}\n")
        problem = load_problem(str(path))
        found = probe(problem, load_data(problem), Job(0, "jax"), pack=False)
        executor = SimpleNamespace(probe=lambda: found)
        return _probe(problem, executor, ["train", "validation", "test"])

    assert probed("val_f1_score[1]").metrics == ["loss", "accuracy"] + [
        f"f1_score[{i}]" for i in range(3)
    ]
    says = r"which is an array: let its metric .*, one of val_f1_score\[0\] to val_f1_score\[2\]$"
    with pytest.raises(TuningError, match=says):
        probed("val_f1_score")
