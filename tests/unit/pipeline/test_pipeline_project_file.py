import yaml
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config.yaml import parse_value
from ratchet.pipeline.project_file import Draft, flow, render, scalar

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\x85\u2028\u2029"),
    max_size=20,
)


@given(TEXT)
def test_any_text_reads_back_as_itself(text):
    assert parse_value(scalar(text), "here") == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_value_reads_back_as_itself(value):
    assert parse_value(flow(value), "here") == value


def test_the_file_reads_back_and_shows_the_guesses():
    draft = Draft(
        project="telco",
        source={"type": "csv", "path": "a b.csv", "separator": ";", "missing": ["", "?"]},
        target="Churn",
        roles={"positive": "Yes", "id": "customerID"},
        columns={"tenure": "integer", "no": "string", "01": "number"},
        expectations=[{"expect_column_to_exist": {"column": "x: y"}, "severity": "warn"}],
        algorithms=["lightgbm"],
        time_budget="10m",
        notes=["separator ;\nbecause"],
    )
    text = render(draft)
    read = parse_value(text, "here")
    assert read["training"] == {"algorithms": {"lightgbm": {}}, "tuning": {"time": "10m"}}
    assert read["data"]["columns"] == {"tenure": "integer", "no": "string", "01": "number"}
    assert read["data"]["source"]["missing"] == ["", "?"]
    assert read["checks"]["expectations"][0]["expect_column_to_exist"] == {"column": "x: y"}
    assert "#   separator ; because" in text
    assert "  tuning: {time: 10m} " in text
    assert yaml.safe_load(text)["data"]["positive"] == "Yes"


def test_without_a_suite_there_is_no_checks_section():
    source = {"type": "csv", "path": "a.csv"}
    draft = Draft("p", source, "y", {}, {"y": "string"}, [], ["svm"], "60s", [])
    assert "checks" not in parse_value(render(draft), "here")
