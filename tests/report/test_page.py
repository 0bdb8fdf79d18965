"""The report: one page, which says what its data supports and no more."""

import html.parser
import io
import json
import re
import shutil
import subprocess

import pytest
from rich.console import Console

from tests.made import AXES, by_rate
from tuning.report.analyse import analyse

WIDTHS = (400, 800, 1280)
CHROMIUM = shutil.which("chromium")


class Text(html.parser.HTMLParser):
    """The text of a page outside of its figures, and the addresses it refers to."""

    def __init__(self, page):
        super().__init__()
        self.text, self.addresses, self._within = "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.addresses += [v for name, v in attributes if name in ("src", "href", "xlink:href")]
        if tag in ("svg", "style", "script"):
            self._within.append(tag)

    def handle_endtag(self, tag):
        if self._within and tag == self._within[-1]:
            self._within.pop()

    def handle_data(self, data):
        if not self._within:
            self.text += data


def report(path, *others):
    analyse(path, others, Console(file=io.StringIO(), width=200, markup=False))
    return (path / "report.html").read_text(encoding="utf-8")


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_whole_grid_is_answered_exactly(make_run):
    page = Text(report(make_run()))
    assert "Of all 24 configurations the best has val_accuracy 0.9523" in page.text
    assert "A random search of 20 trials finds" in page.text
    assert all(address.startswith(("data:", "#")) for address in page.addresses)


def test_each_part_is_there_that_the_data_supports(make_run):
    whole = make_run()
    again = make_run(lambda c, t: by_rate(c, t) + 0.001 * (t % 3), name="again", seed=1)
    assert headings(report(whole, again)) == [
        "What n random trials find",
        "How many trials it takes",
        "A sweep stopped early",
        "What matters",
        "The winner&#39;s curse",
        "What is noise",
        "What shorter trainings tell",
        "By value of each axis",
        "The best 24 configurations",
        "How it was made",
    ]


def test_how_far_noise_can_move_one_is_printed_and_on_the_page(make_run):
    whole = make_run()
    again = make_run(lambda c, t: by_rate(c, t) + 0.001 * (t % 3), name="again", seed=1)
    printed = io.StringIO()
    analyse(whole, [again], Console(file=printed, width=200, markup=False))
    page = Text((whole / "report.html").read_text(encoding="utf-8"))
    said = "configurations are within seed-to-seed noise of the best val_accuracy."
    assert said in printed.getvalue()
    assert said in page.text


def test_of_a_part_nothing_is_said_of_the_whole(make_run):
    path = make_run(trials=range(0, 24, 3))
    page = report(path)
    assert headings(page) == [
        "What a sweep found",
        "What n random trials find",
        "The winner&#39;s curse",
        "By value of each axis",
        "What this run cannot say",
        "The best 8 configurations of those trained",
        "How it was made",
    ]
    text = Text(page).text
    assert "8 of the grid's 24 configurations that were trained, and says nothing" in text
    assert not re.search(r"all 24|of the best hundredth", text)


@pytest.mark.parametrize("given", [{"mode": "min"}, {"metric": "val_loss", "mode": "min"}])
def test_less_may_be_better(make_run, given):
    text = Text(report(make_run(**given))).text
    best = "0.9000" if "metric" not in given else "0.0477"
    assert f"the best has {given.get('metric', 'val_accuracy')} {best}" in text


def test_trials_without_a_result_are_counted_and_left_out(make_run):
    path = make_run(lambda c, trial: None if trial in (3, 23) else by_rate(c, trial))
    text = Text(report(path)).text
    assert "a table without holes, and 2 trials have no result" in text
    assert "Of all 24 configurations (2 without a result) the best has val_accuracy" in text
    assert "24 of 24 configurations, 2 diverged" in text
    assert "The best 22 configurations" in text


def test_equals_share_the_first_place(make_run):
    text = Text(report(make_run(lambda _, trial: 0.9 - 0.1 * (trial % 2)))).text
    assert "the best 12, equal in val_accuracy at 0.9000, have test_accuracy 0.8900 to" in text


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tiny_grids_have_a_report(make_run, size):
    axes = {"rate": [0.1 * (i + 1) for i in range(size)]}
    text = Text(report(make_run(lambda _, trial: 0.5, axes=axes))).text
    assert "How many trials it takes" not in text
    assert "Nothing does: all configurations are equal" in text
    assert f"A random search of {size} trial{'s' if size > 1 else ''} finds" in text


def test_what_a_run_holds_cannot_become_part_of_the_page(make_run):
    evil = "<script>alert(1)</script>"
    axes = {**AXES, "activation": [evil, '"&amp;$x$']}
    page = report(make_run(axes=axes, name="evil", source=evil))
    assert "alert" in Text(page).text
    assert page.count("<script>") == 1


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_at_any_width(make_run, tmp_path):
    path = make_run()
    report(path, make_run(lambda c, t: by_rate(c, t) + 0.001 * (t % 3), name="again", seed=1))
    probe = tmp_path / "probe.html"
    probe.write_text(
        """<body><script>
        const errors = [], found = [], widths = WIDTHS;
        function next() {
          const width = widths.shift();
          if (!width) {
            document.body.innerHTML = `<pre>${JSON.stringify({errors, found})}</pre>`;
            return;
          }
          const frame = document.createElement("iframe");
          frame.style.cssText = `width:${width}px;height:900px;border:0`;
          frame.src = PAGE;
          frame.onload = () => {
            const page = frame.contentDocument, root = page.documentElement;
            frame.contentWindow.onerror = message => errors.push(message);
            const buttons = [...page.querySelectorAll("thead button")];
            const column = buttons.findIndex(button => button.textContent === "index");
            buttons[column].click();
            const trials = [...page.querySelectorAll("tbody tr")].map(
              row => Number(row.cells[column].textContent));
            const wide = [...page.querySelectorAll("body *")].filter(
              part => !part.closest(".scroll")
                && part.getBoundingClientRect().right > root.clientWidth + 1
            ).map(part => part.tagName);
            const cut = [...page.querySelectorAll("svg text")].filter(text => {
              const inner = text.getBoundingClientRect();
              const outer = text.ownerSVGElement.getBoundingClientRect();
              return inner.left < outer.left - 1 || inner.right > outer.right + 1;
            }).map(text => text.textContent);
            const over = root.scrollWidth - root.clientWidth;
            found.push({width, over, wide, cut, trials});
            frame.remove();
            next();
          };
          document.body.append(frame);
        }
        next();
        </script>""".replace("WIDTHS", str(list(WIDTHS))).replace(
            "PAGE", json.dumps((path / "report.html").as_uri())
        )
    )
    shown = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom",
            f"--user-data-dir={tmp_path / 'profile'}", probe.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said = json.loads(re.search(r"<pre>(.*)</pre>", shown.stdout)[1])
    assert said["errors"] == []
    assert "CONSOLE" not in shown.stderr
    for width, found in zip(WIDTHS, said["found"], strict=True):
        assert (found["width"], found["over"], found["wide"]) == (width, 0, [])
        assert found["cut"] == []
        assert found["trials"] == sorted(found["trials"])


@pytest.mark.parametrize("trials", [range(24), range(0, 24, 3)], ids=["whole", "part"])
def test_without_test_data_nothing_is_said_of_it(make_run, trials, tmp_path):
    path = make_run(has_test=False, trials=trials)
    printed = io.StringIO()
    analyse(path, [], Console(file=printed, width=200, markup=False))
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "The winner&#39;s curse" not in headings(page)
    table = (path / "comparison.csv").read_text()
    for text in (printed.getvalue().replace(str(tmp_path), ""), page, table):
        assert "val_accuracy" in text
        assert "test" not in text
        assert "nan" not in text.lower().split()
    assert "–" not in printed.getvalue()


def test_equals_without_test_data_are_counted(make_run):
    text = Text(report(make_run(lambda _, trial: 0.9 - 0.1 * (trial % 2), has_test=False))).text
    assert "the best 12 are equal in val_accuracy at 0.9000." in text
