"""Settings: where they come from, and which of them holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import AllowDirect, ConfigurationError, RequireContext, WarnOutside, init_models
from dynamo_bao.config import DEFAULT_TABLE, SECTIONS, Settings, load_settings

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def written(text: str, name: str = "dynamo_bao.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def table(config: Any = None, environment: dict[str, str] | None = None, **db: Any) -> Any:
    """The table name that holds."""
    return load_settings(config, environment or {}, {"db": db}).get("db", "table_name")


FILE = '[db]\ntable_name = "from-file"\n'


def test_nothing_set_leaves_the_defaults(write: Write) -> None:
    """Without file, environment and arguments every setting has its default."""
    settings = load_settings(None, {}, {})
    assert settings.get("db", "table_name") is None
    assert settings.get("db", "table_name", "x") == "x"
    assert settings.source("db", "table_name") == "the default"
    assert settings.flag("tenancy", "enabled") is False


def test_no_secret_is_shown() -> None:
    """Error trackers and test runners print what a frame refers to: settings say what is set, and not to what."""
    secrets = {"aws": {"access_key_id": "AKID", "secret_access_key": "hidden", "session_token": "hidden"}}
    settings = load_settings(secrets, {}, {"db": {"cursor_secret": "hidden"}})
    assert settings.get("aws", "secret_access_key") == settings.get("db", "cursor_secret") == "hidden"
    assert "secret_access_key of config" in repr(settings)
    assert "hidden" not in repr(settings)


def test_the_environment_overrides_the_file_and_arguments_override_both(write: Write) -> None:
    """file < environment < arguments."""
    write(FILE)
    environment = {"DYNAMO_BAO_TABLE_NAME": "from-environment"}
    assert table() == "from-file"
    assert table(None, environment) == "from-environment"
    assert table(None, environment, table_name="from-call") == "from-call"
    assert table(None, {}, table_name="from-call") == "from-call"
    assert table(None, {"TABLE_NAME": "shared"}) == "shared"
    assert table(None, {"TABLE_NAME": "shared", **environment}) == "from-environment"


def test_an_argument_or_a_variable_without_value_sets_nothing(write: Write) -> None:
    """None and the empty text leave what is below."""
    write(FILE)
    assert table(None, {"DYNAMO_BAO_TABLE_NAME": ""}, table_name=None) == "from-file"


def test_a_given_mapping_overrides_the_environment_and_no_file_is_read(write: Write) -> None:
    """Settings handed in are arguments, a little below those by name."""
    write("this is no TOML")
    config = {"db": {"table_name": "from-config"}}
    assert table(config, {"DYNAMO_BAO_TABLE_NAME": "from-environment"}) == "from-config"
    assert table(config, {}, table_name="from-call") == "from-call"
    assert table({}, {"DYNAMO_BAO_TABLE_NAME": "from-environment"}) == "from-environment"


def test_where_the_file_is_found(write: Write, tmp_path: Path) -> None:
    """The given path, then ``DYNAMO_BAO_CONFIG``, ``dynamo_bao.toml``, then ``pyproject.toml``."""
    write('[tool.dynamo_bao.db]\ntable_name = "from-project"\n', "pyproject.toml")
    assert table() == "from-project"
    write(FILE)
    assert table() == "from-file"
    named = write('[db]\ntable_name = "from-named"\n', "named.toml")
    assert table(None, {"DYNAMO_BAO_CONFIG": str(named)}) == "from-named"
    given = write('[db]\ntable_name = "from-given"\n', "given.toml")
    for path in (given, str(given)):
        assert table(path, {"DYNAMO_BAO_CONFIG": str(named)}) == "from-given"
    assert table(tmp_path / "pyproject.toml") == "from-project"


def test_somebody_else_s_project_file_is_left_alone(write: Write) -> None:
    """A ``pyproject.toml`` without our section configures nothing."""
    write('[tool.other]\nname = "x"\n', "pyproject.toml")
    assert table() is None
    write('[tool.other]\npackages = ["dynamo_bao"]\n', "pyproject.toml")
    assert table() is None
    write('[tool.other]\npackages = ["dynamo_bao"]\nbroken', "pyproject.toml")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        table()
    write('[tool.other]\npackages = ["dynamo_bao", "x"]\nbroken by its own tool', "pyproject.toml")
    assert table() is None


@pytest.mark.parametrize(
    "text",
    [
        '[tool.dynamo_bao.db]\ntable_name = "t"',
        '[tool."dynamo_bao" . db]\ntable_name = "t"',
        "[tool]\n  'dynamo_bao'.db.table_name = 't'",
        '[tool]\ndynamo_bao = {db = {table_name = "t"}}',
        '[tool."dynamo\\u005fbao".db]\ntable_name = "t"',
        '[tool.dynamo_bao]\ndb.table_name = "t"',
    ],
)
def test_every_spelling_of_our_section_counts(write: Write, text: str) -> None:
    write(text, "pyproject.toml")
    assert table() == "t"


def test_unset_sections_of_layers_do_not_hide_lower_ones(write: Write) -> None:
    """Layers override setting by setting, not section by section."""
    write('[aws]\nregion = "eu-west-1"\nendpoint_url = "http://x"\n')
    settings = load_settings(None, {}, {"aws": {"region": "us-east-1", "endpoint_url": None}})
    assert (settings.get("aws", "region"), settings.get("aws", "endpoint_url")) == ("us-east-1", "http://x")


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_named_file_must_be_there(write: Write, name: str) -> None:
    """A path that is no file is told, however it was named."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(name, {}, {})
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(None, {"DYNAMO_BAO_CONFIG": name}, {})


def test_a_file_that_is_no_toml_is_named(write: Write) -> None:
    """The file, and what is wrong with it; also where it is not UTF-8."""
    path = write("[db\n")
    with pytest.raises(ConfigurationError, match=r"dynamo_bao\.toml is not valid TOML"):
        load_settings(None, {}, {})
    path.write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        load_settings(None, {}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[awss]\n", r"Unknown section in .*dynamo_bao\.toml 'awss'.*Did you mean 'aws'"),
        ("[db]\ntable_naem = 'x'\n", r"section db: 'table_naem'.*Did you mean 'table_name'"),
        ("[batch_context]\nrequire_context = true\n", r"Did you mean 'require_batch_context'"),
        ("db = 5\n", r"db is int, not a table of settings"),
    ],
)
def test_unknown_names_of_a_file_are_errors_with_a_suggestion(write: Write, text: str, message: str) -> None:
    """A misspelt setting is never silently ignored."""
    write(text)
    with pytest.raises(ConfigurationError, match=message):
        load_settings(None, {}, {})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"awss": {}}, r"Unknown section in config 'awss'.*Did you mean 'aws'"),
        ({"aws": {"regoin": "x"}}, r"'regoin'.*Did you mean 'region'"),
        ({"tenancy": True}, "tenancy is bool, not a table of settings"),
    ],
)
def test_unknown_names_of_a_mapping_are_errors_too(config: Any, message: str) -> None:
    """And those of the arguments that are tables of settings."""
    with pytest.raises(ConfigurationError, match=message):
        load_settings(config, {}, {})
    with pytest.raises(ConfigurationError):
        load_settings({}, {}, config)


def test_a_section_of_the_project_file_that_is_no_table(write: Write) -> None:
    """``dynamo_bao = 5`` under ``[tool]`` is told."""
    write("[tool]\ndynamo_bao = 5\n", "pyproject.toml")
    with pytest.raises(ConfigurationError, match=r"\[tool\.dynamo_bao\] is not a table"):
        load_settings(None, {}, {})


@pytest.mark.parametrize("text", ['tool = "dynamo_bao = x"\n', "[[tool]]\ndynamo_bao = 5\n"])
def test_a_project_file_whose_tool_is_no_table_has_no_settings(write: Write, text: str) -> None:
    """It is of no use to any tool, and no reason to fail."""
    write(text, "pyproject.toml")
    assert load_settings(None, {}, {}) == Settings({})


@pytest.mark.parametrize(
    "name",
    [
        *(("aws", name) for name in ("region", "endpoint_url", "access_key_id", "session_token")),
        *(("paths", name) for name in SECTIONS["paths"]),
    ],
    ids=".".join,
)
@pytest.mark.parametrize("value", ["5", "true", '["a", "b"]'])
def test_a_text_of_a_file_that_is_no_text_is_an_error(
    write: Write, name: tuple[str, str], value: str
) -> None:
    """It names the setting and the file."""
    write(f"[{name[0]}]\n{name[1]} = {value}\n")
    with pytest.raises(ConfigurationError, match=rf"{name[1]} of dynamo_bao\.toml is .*; give a text"):
        load_settings(None, {}, {})


def test_a_path_may_be_an_object_of_pathlib() -> None:
    """In settings that a program makes."""
    settings = load_settings({"paths": {"models_dir": Path("models")}}, {}, {})
    assert settings.get("paths", "models_dir") == Path("models")


def test_the_sections_are_those_of_the_contract() -> None:
    """aws, db, batch_context, tenancy, paths, logging."""
    assert set(SECTIONS) == {"aws", "db", "batch_context", "tenancy", "paths", "logging"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        *((w, True) for w in ("true", "1", "YES", " on ")),
        *((w, False) for w in ("false", "0", "no", "Off")),
    ],
)
def test_flags_understand_words(value: object, expected: bool) -> None:
    """A setting that is true or false, also as the environment says it."""
    assert Settings({}).over({"tenancy": {"enabled": value}}, "x").flag("tenancy", "enabled") is expected


@pytest.mark.parametrize("value", ["maybe", "", 2, [], "wahr"])
def test_any_other_flag_is_an_error_that_says_where_it_is_set(value: object) -> None:
    """With the words there are."""
    settings = Settings({}).over({"tenancy": {"enabled": value}}, "the environment")
    with pytest.raises(ConfigurationError, match=r"enabled of the environment is .*; use one of true"):
        settings.flag("tenancy", "enabled")


def test_the_environment_s_other_settings() -> None:
    """Tenancy, policy and log level can be set there too."""
    settings = load_settings(
        {},
        {
            "DYNAMO_BAO_TENANCY_ENABLED": "yes",
            "DYNAMO_BAO_REQUIRE_BATCH_CONTEXT": "warn",
            "DYNAMO_BAO_LOG_LEVEL": "debug",
        },
        {},
    )
    assert settings.flag("tenancy", "enabled")
    assert settings.get("batch_context", "require_batch_context") == "warn"
    assert settings.get("logging", "level") == "debug"


def test_paths_of_a_file_start_from_its_folder(write: Write) -> None:
    """So that a command finds them from wherever it is called; those of calls start from the working folder."""
    (write("").parent / "deploy").mkdir()
    path = write('[paths]\nmodels_dir = "../app/models"\nfields_dir = "/srv/fields"\n', "deploy/bao.toml")
    settings = load_settings(path, {"DYNAMO_BAO_MODELS_DEFINITION_PATH": "models.yaml"}, {})
    assert settings.get("paths", "models_dir") == f"{path.parent}/../app/models"
    assert settings.get("paths", "fields_dir") == "/srv/fields"
    assert settings.get("paths", "models_definition_path") == "models.yaml"
    assert load_settings({"paths": {"models_dir": "m"}}, {}, {}).get("paths", "models_dir") == "m"


def test_settings_are_values() -> None:
    """Overriding makes new settings and leaves the old."""
    base = Settings({})
    more = base.over({"db": {"table_name": "x"}}, "config")
    assert base.get("db", "table_name") is None
    assert more.get("db", "table_name") == "x"
    assert more.source("db", "table_name") == "table_name of config"


# --- through init_models ---------------------------------------------------------------------------


def policy(**arguments: Any) -> Any:
    with init_models(models=[], **arguments) as manager:
        return manager.database.policy


def test_precedence_of_the_policy(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """``policy=`` and ``batch_context=`` over the environment over the file over the default."""
    variable = "DYNAMO_BAO_REQUIRE_BATCH_CONTEXT"
    assert policy() == AllowDirect()
    write("[batch_context]\nrequire_batch_context = true\n")
    assert policy() == RequireContext()
    monkeypatch.setenv(variable, "warn")
    assert isinstance(policy(), WarnOutside)
    monkeypatch.setenv(variable, "off")
    assert policy() == AllowDirect()
    assert policy(batch_context={"require_batch_context": True}) == RequireContext()
    assert policy(policy=RequireContext()) == RequireContext()
    monkeypatch.setenv(variable, "sometimes")
    with pytest.raises(ConfigurationError, match=r"require_batch_context of the environment is 'sometimes'"):
        policy()
    assert policy(policy=AllowDirect()) == AllowDirect()


def test_the_table_s_default_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that is used where nothing says another."""
    monkeypatch.delenv("TABLE_NAME", raising=False)
    with init_models(models=[]) as manager:
        assert manager.table_name == DEFAULT_TABLE == "dynamo-bao-dev"
    with init_models(models=[], table_name="x", tenancy={"enabled": True}, deadline=2.5) as manager:
        assert (manager.table_name, manager.database.tenancy, manager.database.deadline) == ("x", True, 2.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline": 0},
        {"deadline": -1},
        {"deadline": "10"},
        {"deadline": True},
        {"deadline": float("nan")},
        {"max_concurrency": 0},
        {"max_concurrency": 1.5},
        {"max_concurrency": True},
        {"tenancy": {"enable": True}},
        {"tenancy": {"enabled": "perhaps"}},
        {"batch_context": {"require": True}},
        {"batch_context": {"require_batch_context": "sometimes"}},
        {"logging": "loud"},
        {"config": {"x": {}}},
        {"config": "nowhere.toml"},
        {"models": [int]},
        {"models": ["User"]},
    ],
)
def test_a_wrong_argument_connects_nothing(write: Write, wrong: dict[str, Any]) -> None:
    """Every wrong setting is a `ConfigurationError` before anything is made."""
    with pytest.raises(ConfigurationError):
        init_models(**{"models": [], **wrong})
