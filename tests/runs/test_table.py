"""A run's tables read back: whatever is wrong with them is said, with where."""

import gzip
import itertools
import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.made import by_rate, write_run
from tuning import Grid, TuningError, load_curves, load_results, publish
from tuning.cli.commands import analyse
from tuning.runs.columns import cell_text
from tuning.runs.table import as_cells, as_csv

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.sampled_from(["None", "NA", "null", "nan", "true", "0.5", "01", "1e-3", "a\tb", "=1+1"]),
)
ROW = "run,sweep,3,3,0,8,relu,0.01,2,2,ok,"


def edited(path, name, old, new):
    text = (path / name).read_text()
    assert text.count(old) == 1, text
    (path / name).write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (ROW, ROW.replace("3,3", "3,x"), "row 4: index 'x' is not an integer"),
        (ROW, ROW.replace("3,3", "3,2.5"), "row 4: index '2.5' is not an integer"),
        (ROW, ROW.replace("3,3", "3,24"), "row 4: index '24' is not in a grid of 24"),
        (ROW, ROW.replace("3,3", "3,2"), "row 4: epochs '2' is not what the manifest's grid has"),
        (ROW, ROW.replace("8,relu", "16,relu"), "row 4: width '16' is not what the manifest's"),
        (ROW, ROW.replace("relu", "elu"), "row 4: activation 'elu' is not what the manifest's"),
        (ROW, ROW.replace("ok", "fine"), "row 4: status 'fine' is not one"),
        (ROW, ROW.replace("sweep", ""), "row 4: strategy '' is not one"),
        (ROW, ROW.replace(",0,8", ",1,8"), "row 4: seed '1' is not the run's, 0"),
        (ROW, ROW.replace("3,3", "2,3"), "row 4: trial '2' is there a second time"),
        (ROW, ROW + "much", "row 4: val_loss 'much"),
        ("val_accuracy", "accuracy", "it has no column 'val_accuracy'"),
        ("run,sweep,4,4,", "run,sweep,3,3,", "row 5: rate '0.001' is not what"),
    ],
)
def test_a_damaged_row_is_named(make_run, old, new, said):
    path = edited(make_run(trials=range(12)), "trials.csv", old, new)
    with pytest.raises(TuningError, match="trials") as error:
        load_results(path)
    assert said in str(error.value)


def test_a_row_that_is_there_twice_is_named(make_run):
    path = make_run(trials=range(5))
    table = (path / "trials.csv").read_text()
    (path / "trials.csv").write_text(table + table.splitlines()[2] + "\n")
    with pytest.raises(TuningError, match="row 6: index '1' is there a second time"):
        load_results(path)


def test_a_table_of_another_problem_is_refused(make_run):
    path = make_run(trials=range(5))
    about = json.loads((path / "manifest.json").read_text())
    about["problem"]["axes"]["rate"] = [0.5, 0.05, 0.005]
    (path / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(TuningError, match=r"row 1: rate '0\.1' is not what"):
        load_results(path)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        VALUES,
        min_size=1, max_size=4, unique_by=lambda value: str(value).lower(),
    )
)  # fmt: skip
def test_values_of_any_kind_come_back_as_they_are(make_run_again, values):
    try:
        Grid({"axis": values})
    except TuningError:
        return
    path = make_run_again(
        axes={"axis": values, "rate": [0.1, 0.2]}, score=lambda _, trial: trial / 9
    )
    for form in (path, path.with_name(f"{path.name}-published")):
        if form != path:
            publish(path, form)
        table = load_results(form)
        back = [values[i // 2] for i in range(2 * len(values))]
        assert [(type(cell), cell) for cell in table["axis"].tolist()] == [
            (type(value), value) for value in back
        ]


@pytest.fixture
def make_run_again(make_run):
    numbers = itertools.count()
    return lambda **given: make_run(name=f"run-{next(numbers)}", **given)


def test_a_published_run_reads_as_the_run(make_run, tmp_path):
    path = make_run(
        lambda configuration, trial: None if trial == 7 else by_rate(configuration, trial)
    )
    about = publish(path, tmp_path / "published")
    assert sorted(file.name for file in (tmp_path / "published").iterdir()) == [
        "curves.parquet", "manifest.json", "trials.csv.gz", "trials.parquet",
    ]  # fmt: skip
    run, published = load_results(path), load_results(tmp_path / "published")
    pd.testing.assert_frame_equal(run, published, check_dtype=False)
    (tmp_path / "published" / "trials.parquet").unlink()
    pd.testing.assert_frame_equal(run, load_results(tmp_path / "published"), check_dtype=False)
    assert about.trials == len(run) == 24
    assert about.cpu_seconds == pytest.approx(11.5)
    curves = load_curves(tmp_path / "published")
    assert set(curves["index"]) == {*range(1, 24, 2)} - {7} | {6}  # the longest, and what has none
    assert len(curves) == about.epochs == 11 * 2 + 1


def test_formulas_are_neutral_in_every_csv(tmp_path):
    run = write_run(tmp_path, lambda _, t: t / 10, axes={"a": ["=1+1", "-x", "b"], "epochs": [1]})
    publish(run, tmp_path / "small")
    assert analyse([str(run)]) == 0
    small = gzip.decompress((tmp_path / "small" / "trials.csv.gz").read_bytes()).decode()
    assert small == (run / "trials.csv").read_text()
    for text in (small, (run / "comparison.csv").read_text()):
        assert ",'=1+1," in text
        assert ",'-x," in text
    assert load_results(tmp_path / "small")["a"].tolist() == ["=1+1", "-x", "b"]


def test_curves_that_begin_otherwise_are_all_kept(make_run, tmp_path):
    path = make_run(trials=range(4))
    lines = (path / "curves.csv").read_text().splitlines()
    lines[1] = lines[1].replace("0.51", "0.52")  # of trial 0, of one epoch
    (path / "curves.csv").write_text("\n".join(lines) + "\n")
    publish(path, tmp_path / "published")
    assert load_curves(tmp_path / "published")["trial"].unique().tolist() == [0, 1, 3]


@pytest.mark.parametrize("name", ["trials.parquet", "trials.csv.gz"])
def test_a_truncated_published_table_is_refused(make_run, tmp_path, name):
    out = tmp_path / "published"
    publish(make_run(), out)
    if name.endswith("gz"):
        (out / "trials.parquet").unlink()
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(TuningError, match=f"{name} cannot be read as a table"):
        load_results(out)


def test_a_published_table_with_rows_missing_is_refused(make_run, tmp_path):
    out = tmp_path / "published"
    publish(make_run(), out)
    (out / "trials.parquet").unlink()
    lines = gzip.decompress((out / "trials.csv.gz").read_bytes()).splitlines(keepends=True)
    (out / "trials.csv.gz").write_bytes(gzip.compress(b"".join(lines[:-1])))
    with pytest.raises(TuningError, match="it has 23 rows, where its manifest says 24"):
        load_results(out)


def test_what_is_there_is_not_overwritten(make_run, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    with pytest.raises(TuningError, match="cannot make"):
        publish(make_run(), tmp_path / "taken")
    assert [file.name for file in (tmp_path / "taken").iterdir()] == ["notes.txt"]
    assert not list(tmp_path.glob(".*"))


def test_an_ok_row_cut_before_its_scores_is_named(make_run):
    path = make_run(trials=range(3))
    lines = (path / "trials.csv").read_text().splitlines()
    lines[2] = lines[2][: lines[2].index("ok") + 2]
    (path / "trials.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(TuningError, match="row 2: val_loss '' is not a score"):
        load_results(path)


def test_a_grid_no_processor_can_number_is_read(make_run):
    axes = {f"axis {i}": list(range(1000)) for i in range(8)}
    last = 1000**8 - 1
    table = load_results(make_run(lambda *_: 0.5, trials=[last, 5], axes=axes))
    assert table["index"].tolist() == [last, 5]
    assert table["axis 7"].tolist() == [999, 5]
    table = load_results(make_run(lambda *_: 0.5, trials=[5], axes=axes, name="small"))
    assert table[["axis 0", "axis 7"]].to_numpy().tolist() == [[0, 5]]


def test_a_broken_archive_is_refused(make_run, tmp_path):
    out = tmp_path / "published"
    publish(make_run(), out)
    (out / "trials.parquet").unlink()
    content = bytearray((out / "trials.csv.gz").read_bytes())
    content[100:140] = bytes(40)
    (out / "trials.csv.gz").write_bytes(bytes(content))
    with pytest.raises(TuningError, match="cannot be read as a table"):
        load_results(out)


def test_an_epoch_that_is_there_twice_is_named(make_run):
    path = make_run(trials=range(3))
    text = (path / "curves.csv").read_text()
    (path / "curves.csv").write_text(text + text.splitlines()[2] + "\n")
    with pytest.raises(TuningError, match="row 5: epoch '1' is there a second time"):
        load_curves(path)


def test_the_longest_training_need_not_come_last(make_run, tmp_path):
    axes = {"rate": [0.1, 0.01], "epochs": [2, 1]}
    publish(make_run(lambda *_: 0.5, axes=axes), tmp_path / "published")
    assert load_curves(tmp_path / "published")["trial"].unique().tolist() == [0, 2]


@given(st.lists(st.tuples(VALUES, st.floats()), max_size=9), st.integers(1, 4))
def test_a_table_written_in_parts_is_the_table_written_at_once(rows, at_once):
    table = pd.DataFrame(rows, columns=["rate", "val_loss"])
    whole = as_cells(table).map(cell_text).to_csv(index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.runs.table.ROWS_AT_ONCE", at_once)
        assert as_csv(table) == whole
