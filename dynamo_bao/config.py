"""Settings: from a file, the environment and arguments. Each of these overrides the ones before it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dynamo_bao.errors import ConfigurationError, reject_unknown, suggestion
from dynamo_bao.runtime.records import evolve, field, frozen

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_TABLE = "dynamo-bao-dev"
FILE_NAME = "dynamo_bao.toml"
NO_TABLE = (
    f"No table is named, so this uses table {DEFAULT_TABLE}; name one in the call, in DYNAMO_BAO_TABLE_NAME, or as "
    f"table_name under [db] in {FILE_NAME}."
)
_PROJECT_FILE = "pyproject.toml"
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "aws": (
        "region",
        "endpoint_url",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "request_path",
        "reply_check",
        "read_timeout",
    ),
    "db": ("table_name", "cursor_secret", "strict_filters", "naive_datetimes"),
    "batch_context": ("require_batch_context", "max_throttled_calls", "on_event_loop"),
    "tenancy": ("enabled",),
    "paths": ("models_dir", "models_definition_path", "fields_dir"),
    "logging": ("level",),
}
_ENVIRONMENT: tuple[tuple[str, str, str], ...] = (
    ("TABLE_NAME", "db", "table_name"),
    ("DYNAMO_BAO_TABLE_NAME", "db", "table_name"),
    ("DYNAMO_BAO_CURSOR_SECRET", "db", "cursor_secret"),
    ("DYNAMO_BAO_STRICT_FILTERS", "db", "strict_filters"),
    ("DYNAMO_BAO_REQUIRE_BATCH_CONTEXT", "batch_context", "require_batch_context"),
    ("DYNAMO_BAO_MAX_THROTTLED_CALLS", "batch_context", "max_throttled_calls"),
    ("DYNAMO_BAO_NAIVE_DATETIMES", "db", "naive_datetimes"),
    ("DYNAMO_BAO_ON_EVENT_LOOP", "batch_context", "on_event_loop"),
    ("DYNAMO_BAO_TENANCY_ENABLED", "tenancy", "enabled"),
    ("DYNAMO_BAO_LOG_LEVEL", "logging", "level"),
    ("DYNAMO_BAO_REQUEST_PATH", "aws", "request_path"),
    ("DYNAMO_BAO_REPLY_CHECK", "aws", "reply_check"),
    ("DYNAMO_BAO_READ_TIMEOUT", "aws", "read_timeout"),
    ("DYNAMO_BAO_MODELS_DIR", "paths", "models_dir"),
    ("DYNAMO_BAO_MODELS_DEFINITION_PATH", "paths", "models_definition_path"),
    ("DYNAMO_BAO_FIELDS_DIR", "paths", "fields_dir"),
)
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "aws": ("region", "endpoint_url", "access_key_id", "secret_access_key", "session_token"),
    "paths": SECTIONS["paths"],
}
"""Settings that are texts, and that nothing checks later."""
TRUE_WORDS, FALSE_WORDS = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@frozen
class Setting:
    """A value, which may be secret, and its source for errors, such as ``"region of dynamo_bao.toml"``."""

    value: Any = field(repr=False)
    source: str


@frozen
class Settings:
    """All settings, by section and name."""

    values: Mapping[tuple[str, str], Setting]

    def get(self, section: str, name: str, default: object = None) -> Any:
        """A setting's value, or `default`."""
        setting = self.values.get((section, name))
        return default if setting is None else setting.value

    def source(self, section: str, name: str) -> str:
        """The source of a setting, for errors; ``"the default"`` if nobody set it."""
        setting = self.values.get((section, name))
        return "the default" if setting is None else setting.source

    def flag(self, section: str, name: str) -> bool:
        """A setting that is true or false, also as a text such as ``"yes"`` or ``"0"``.

        Raises:
            ConfigurationError: if the value is neither.
        """
        value = self.get(section, name, False)
        word = value.strip().lower() if isinstance(value, str) else value
        if word in TRUE_WORDS or word is True:
            return True
        if word in FALSE_WORDS or word is False:
            return False
        raise ConfigurationError(
            f"{self.source(section, name)} is {value!r}; use one of {', '.join((*TRUE_WORDS, *FALSE_WORDS))}.",
            field=name,
        )

    def word(self, section: str, name: str, allowed: Sequence[str]) -> str:
        """A setting that is one of the words in `allowed`; the first of them is the default.

        Raises:
            ConfigurationError: for any other word.
        """
        value = self.get(section, name, allowed[0])
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in allowed:
            raise ConfigurationError(
                f"{self.source(section, name)} is {value!r}; use one of {', '.join(map(repr, allowed))}.",
                field=name,
            )
        return str(word)

    def over(self, sections: Mapping[str, object], source: str, folder: Path | None = None) -> Settings:
        """These settings, overridden by nested settings.

        Args:
            sections: the nested settings, by section and name.
            source: where they come from, for errors.
            folder: the folder that relative paths among them start from; by default the working folder.

        Raises:
            ConfigurationError: for an unknown section or name, and for a value of a wrong type where a text is needed.
        """
        reject_unknown(sections, SECTIONS, f"section in {source}")
        merged = dict(self.values)
        for section, values in sections.items():
            if not isinstance(values, Mapping):
                raise ConfigurationError(
                    f"{source}: {section} is {type(values).__name__}, not a table of settings."
                )
            reject_unknown(values, SECTIONS[section], f"setting in {source}, section {section}:")
            for name, value in values.items():
                _require_text(section, name, value, source)
                if section == "paths" and folder is not None and isinstance(value, str):
                    value = str(folder / value)
                if value is not None:
                    merged[section, name] = Setting(value, f"{name} of {source}")
        return evolve(self, values=merged)


def _require_text(section: str, name: str, value: object, source: str) -> None:
    kinds = (str, os.PathLike) if section == "paths" else str
    if value is not None and name in _TEXTS.get(section, ()) and not isinstance(value, kinds):
        raise ConfigurationError(f"{name} of {source} is {type(value).__name__}; give a text.", field=name)


def load_settings(
    config: Mapping[str, object] | str | os.PathLike[str] | None,
    environment: Mapping[str, str],
    arguments: Mapping[str, object],
) -> Settings:
    """The settings of a program.

    Args:
        config: nested settings, or the path of a file; None to look for ``dynamo_bao.toml`` and ``pyproject.toml``.
        environment: usually `os.environ`.
        arguments: nested settings of the call, which override all others.

    Raises:
        ConfigurationError: for an unknown name, or a file that does not exist or is not TOML.
    """
    settings = Settings({})
    if isinstance(config, Mapping):
        return (
            settings.over(_environment_settings(environment), "the environment")
            .over(config, "config")
            .over(arguments, "the call")
        )
    path = settings_file(config, environment)
    if path is not None:
        settings = settings.over(_read(path), str(path), path.parent)
    return settings.over(_environment_settings(environment), "the environment").over(arguments, "the call")


def _environment_settings(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    for variable, section, name in _ENVIRONMENT:
        if environment.get(variable):
            sections.setdefault(section, {})[name] = environment[variable]
    return sections


def settings_file(config: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Path | None:
    """The file that settings are read from; None if no file is used.

    Args:
        config: the path of a file; None if the call names no file.
        environment: usually `os.environ`; ``DYNAMO_BAO_CONFIG`` may name a file.

    Raises:
        ConfigurationError: if a file is named that does not exist.
    """
    if config is not None and not isinstance(config, (str, os.PathLike)):
        raise ConfigurationError(
            f"config={config!r:.200}; give nested settings, or the path of a file.", field="config"
        )
    configured = config or environment.get("DYNAMO_BAO_CONFIG")
    filename = configured or next(filter(os.path.isfile, (FILE_NAME, _PROJECT_FILE)), None)
    if filename is None or (
        not configured and filename == _PROJECT_FILE and not _may_have_settings(_PROJECT_FILE)
    ):
        return None
    # Imported here: many programs have no settings file.
    from pathlib import Path

    path = Path(filename)
    if configured and not os.path.isfile(path):
        raise ConfigurationError(f"The configuration file {str(path)!r:.500} does not exist.")
    if not configured and filename == _PROJECT_FILE and "dynamo_bao" not in _tools(_parsed(path)):
        return None
    return path


def _may_have_settings(filename: str | os.PathLike[str]) -> bool:
    """Whether a project's file may have settings. Most have none, and are not worth loading a parser."""
    try:
        with open(filename, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):  # the parser says so
        return True
    return "\\" in text or re.search(r"""(?<![\w:-])dynamo_bao["']?\s*[].=]""", text) is not None


def _read(path: Path) -> Mapping[str, object]:
    parsed = _parsed(path)
    settings: Any = _tools(parsed).get("dynamo_bao", {}) if path.name == _PROJECT_FILE else parsed
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{path}: [tool.dynamo_bao] is not a table.{suggestion('', SECTIONS)}")
    return settings


def _tools(parsed: Mapping[str, Any]) -> Mapping[str, object]:
    """The table ``[tool]`` of a project's file. It is empty if the file has no such table."""
    tools = parsed.get("tool")
    return tools if isinstance(tools, Mapping) else {}


def _parsed(path: Path) -> dict[str, Any]:
    # Imported here: most programs are configured without a file.
    import tomllib

    try:
        parsed: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    return parsed
