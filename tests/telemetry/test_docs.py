"""The generated pages are what the declarations say."""

from pathlib import Path

from gameedge.config import EdgeConfig
from gameedge.telemetry import docs
from gameedge.telemetry.declared import COORDINATOR, EDGE

ROOT = Path(__file__).parents[2]


def test_pages_are_up_to_date() -> None:
    assert docs.main(["--check", str(ROOT)]) == 0, "run: make docs"


def test_check_notices_and_writing_mends(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "operations.md"
    page.write_text(f"# Ours\n\nwords before\n\n{docs.BEGIN}\nOUTDATED\n{docs.END}\n\nwords after\n", "utf-8")
    assert docs.main(["--check", str(tmp_path)]) == 1
    assert "OUTDATED" in page.read_text("utf-8")
    assert docs.main([str(tmp_path)]) == 0
    assert docs.main(["--check", str(tmp_path)]) == 0
    text = page.read_text("utf-8")
    assert "words before" in text
    assert "words after" in text
    assert "OUTDATED" not in text
    assert all(f"`{key}`" in text for key in EdgeConfig.__struct_fields__)


def test_every_metric_says_what_an_operator_reads_from_it() -> None:
    assert [metric.name for metric in (*EDGE, *COORDINATOR) if not metric.reason or not metric.unit] == []


def test_every_metric_is_on_the_page() -> None:
    page = docs.metrics_page()
    assert all(f"`gameedge_{metric.name}`" in page for metric in (*EDGE, *COORDINATOR))
