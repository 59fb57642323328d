"""The page about this API says what the code says."""

import re
from pathlib import Path

from sqslite.entrypoints.sqs.actions import ACTIONS
from sqslite.entrypoints.sqs.queue_attributes import KNOWN, NUMBERS
from sqslite.entrypoints.sqs.receiving import SYSTEM
from tests.unit.test_docs import rows

PAGE = (Path(__file__).parents[3] / "docs" / "sqs.md").read_text()


def section(title: str) -> dict[str, list[str]]:
    (found,) = [part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(f"{title}\n")]
    return rows(found)


def test_every_action_is_on_the_page_and_no_other():
    assert set(section("Actions")) == set(ACTIONS)


def test_every_queue_attribute_is_on_the_page_with_its_setting_and_range():
    attributes = section("Queue attributes")
    assert set(attributes) == KNOWN - {"All"}
    for name, spec in NUMBERS.items():
        setting, text = attributes[name]
        assert setting == f"`{spec.setting}`"
        assert f"{spec.low:,} to {spec.high:,} " in text


def test_every_system_attribute_is_on_the_page():
    assert set(section("Message attributes of the system")) == set(SYSTEM)
