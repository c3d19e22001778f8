from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, field_validator

from ratchet.config.load import load_settings
from ratchet.config.section import Section
from ratchet.errors import ConfigError
from ratchet.project import ProjectSettings


class Inner(Section):
    margin: float = Field(default=0.0, ge=0, description="how much")
    names: tuple[str, ...] = Field(default=(), description="which")
    word: str = Field(default="x", description="a word")

    @field_validator("word")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError("at most five letters")
        return value


class Outer(Section):
    project: str = Field(description="name")
    inner: Inner = Field(default_factory=Inner, description="section")
    free: dict[str, float] = Field(default_factory=dict, description="any keys")


def load(tmp_path: Path, *texts: str, environment=None, assignments=()):
    files = []
    for number, text in enumerate(texts):
        path = tmp_path / f"f{number}.yaml"
        path.write_text(text, encoding="utf-8")
        files.append((path, path.name))
    return load_settings(Outer, files, environment or {}, assignments)


def test_rising_order_of_file_overlay_variable_and_assignment(tmp_path):
    base = "project: a\ninner:\n  margin: 0.1\n  word: one\nfree: {x: 1, y: 2}\n"
    loaded = load(
        tmp_path,
        base,
        "inner: {margin: 0.2}\nfree: {y: 3}\n",
        environment={"RATCHET__INNER__WORD": "two", "HOME": "/"},
        assignments=["inner.names=[a, b]", "free.z=4"],
    )
    assert loaded.settings.inner == Inner(margin=0.2, word="two", names=("a", "b"))
    assert loaded.settings.free == {"x": 1, "y": 3, "z": 4}
    assert loaded.origins.of("inner", "margin") == "f1.yaml:1"
    assert loaded.origins.of("inner", "word") == "RATCHET__INNER__WORD"
    assert loaded.origins.of("inner", "names") == "--set inner.names"
    assert loaded.origins.of("project") == "f0.yaml:1"


def test_what_nobody_set_is_a_default(tmp_path):
    loaded = load(tmp_path, "project: a\ninner: {margin: 0.1}\n")
    assert loaded.origins.of("inner", "word") == "default"
    assert loaded.origins.of("free", "x") == "default"


@pytest.mark.parametrize(
    ("text", "what", "where", "fix"),
    [
        ("project: a\ninner:\n  margn: 1\n", "Unknown key `inner.margn`", "f0.yaml:3", "margin"),
        ("projct: a\n", "Unknown key `projct`", "f0.yaml:1", "project"),
        ("project: a\nproject: b\n", "there twice", "f0.yaml:2", "keep one"),
        ("project: a\ninner:\n  margin: 012\n", "starts with a zero", "f0.yaml:3", "without"),
        ("project: a\ninner: {margin: -1}\n", "`inner.margin` is not right", "f0.yaml:2", ""),
        ("project: a\ninner: {margin: lots}\n", "`inner.margin` is not right", "f0.yaml:2", ""),
        ("project: a\ninner: {word: abcdefg}\n", "`inner.word` is not right", "f0.yaml:2", ""),
        ("project: a\ninner: {names: {a: 1}}\n", "`inner.names` is not right", "f0.yaml:2", ""),
        ("inner: {}\n", "`project` is missing", "", "add `project`"),
        ("", "`project` is missing", "", ""),
        ("- a\n- b\n", "does not hold keys", "f0.yaml:1", "project"),
        ("project: [a\n", "not valid YAML", "f0.yaml", ""),
        ("project: &a [*a]\n", "refers to itself", "f0.yaml:1", ""),
        ("? [a]\n: 1\n", "plain word", "f0.yaml:1", ""),
    ],
)
def test_refusals_name_place_and_remedy(tmp_path, text, what, where, fix):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert what in caught.value.what
    assert caught.value.where.startswith(where)
    assert fix in caught.value.fix


def test_a_file_that_is_not_utf8_names_the_line(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"project: a\n# caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        load_settings(Outer, [(path, "f.yaml")], {})
    assert caught.value.where == "f.yaml:2"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfproject: a\n")
    assert load_settings(Outer, [(path, "f.yaml")], {}).settings.project == "a"


def test_yaml_words_are_words(tmp_path):
    loaded = load(
        tmp_path, 'project: a\ninner: {names: [no, on, Yes, 2024-01-02, "1"], word: off}\n'
    )
    assert loaded.settings.inner.names == ("no", "on", "Yes", "2024-01-02", "1")
    assert loaded.settings.inner.word == "off"


def test_exponents_are_numbers(tmp_path):
    assert load(tmp_path, "project: a\ninner: {margin: 1e-3}\n").settings.inner.margin == 0.001


@pytest.mark.parametrize("name", ["RATCHET__INNR__MARGIN", "RATCHET__INNER__MARGN", "RATCHET__X"])
def test_unknown_variables_are_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match="Unknown key") as caught:
        load(tmp_path, "project: a\n", environment={name: "1"})
    assert caught.value.where == name


@pytest.mark.parametrize("text", ["inner.margin", "=1", "inner.margn=1"])
def test_malformed_assignments_are_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        load(tmp_path, "project: a\n", assignments=[text])


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(Outer, [(tmp_path / "none.yaml", "none.yaml")], {})


class Hidden(Section):
    url: str = Field(repr=False, description="secret")

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        raise ValueError("no scheme")


class HiddenList(Section):
    alerts: tuple[Hidden, ...] = Field(default=(), description="list")


def test_a_refused_secret_is_not_shown(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("alerts:\n  - {url: hooks.example.org/T0/s3cret}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"alerts\.0\.url") as caught:
        load_settings(HiddenList, [(path, "f.yaml")], {})
    assert "s3cret" not in str(caught.value.to_json())
    assert caught.value.where == "f.yaml:2"


class Source(Section):
    type: str = Field(description="kind")
    path: str | None = Field(default=None, description="file")
    url: str | None = Field(default=None, description="address")


class Replacing(Section):
    source: Source = Field(description="one of several kinds")
    algorithms: dict[str, dict[str, int]] = Field(
        default_factory=dict, json_schema_extra={"merge": "replace"}, description="as a whole"
    )


BASE = "source: {type: csv, path: a.csv}\nalgorithms: {a: {n: 1}, b: {}}\n"


def test_a_source_of_another_type_replaces_the_one_below(tmp_path):
    (tmp_path / "b.yaml").write_text(BASE)
    (tmp_path / "o.yaml").write_text("source: {type: postgres, url: x}\nalgorithms: {b: {}}\n")
    files = [(tmp_path / "b.yaml", "b.yaml"), (tmp_path / "o.yaml", "o.yaml")]
    settings = load_settings(Replacing, files, {}).settings
    assert settings.source == Source(type="postgres", url="x")
    assert settings.algorithms == {"b": {}}
    one_key = load_settings(Replacing, files[:1], {}, ["source.path=c.csv", "algorithms.a.n=2"])
    assert one_key.settings.source == Source(type="csv", path="c.csv")
    assert one_key.settings.algorithms == {"a": {"n": 2}, "b": {}}
    whole = load_settings(Replacing, files[:1], {}, ["algorithms={c: {}}", "source={type: d}"])
    assert whole.settings.algorithms == {"c": {}}
    assert whole.settings.source == Source(type="d")


class Search(Section):
    time: str = Field(default="60s", description="how long")
    folds: int = Field(default=5, ge=2, description="parts")


class Searching(Section):
    tuning: Search | Literal["off"] = Field(default_factory=Search, description="this or that")
    size: int = Field(default=1, ge=1, description="a number")


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("tuning: {folds: 1}", "The setting `tuning.folds` is not right", "greater than"),
        ("tuning: {folds: 1}\nsize: 0", "`tuning.folds` is not right (1 more after", ""),
        ("tuning: on", "`tuning` is not right", "a mapping of time, folds or 'off', got 'on'"),
        ("tuning: {tim: 5s}", "Unknown key `tuning.tim`", ""),
        ("tuning: {time: 5}", "`tuning.time` is not right", "should be text"),
    ],
)
def test_where_this_or_that_may_stand_only_what_was_meant_is_told(tmp_path, text, what, why):
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(Searching, [(path, "f.yaml")], {})
    assert what in caught.value.what
    assert ("more after" in caught.value.what) == ("more after" in what)
    assert why in caught.value.why
    assert "Search" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "example"),
    [
        ("gates: {budget: {latency_p95: 5}}", "5ms"),
        ("gates: {budget: {size: 50}}", "50MB"),
        ("checks: {max_age: 2}", "30m"),
        ("training: {memory: 6.5}", "50MB"),
    ],
)
def test_a_number_without_its_unit_is_answered_with_one(tmp_path, section, example):
    path = tmp_path / "ratchet.yaml"
    path.write_text(f"project: p\ndata: {{source: {{type: csv, path: x}}, target: y}}\n{section}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(ProjectSettings, [(path, path.name)], {})
    assert caught.value.why.split(", got ")[0] == f"write a number and its unit, such as {example}"
    assert caught.value.where == "ratchet.yaml:3"


@pytest.mark.parametrize("section", ["serving: {host: 5}", "gates: {budget: {size: true}}"])
def test_other_texts_that_look_like_numbers_want_quotes(tmp_path, section):
    path = tmp_path / "ratchet.yaml"
    path.write_text(f"project: p\ndata: {{source: {{type: csv, path: x}}, target: y}}\n{section}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(ProjectSettings, [(path, path.name)], {})
    assert "goes into quotes" in caught.value.why
