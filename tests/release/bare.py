"""Imports every module of the installed package that needs no extra, and reads what the package says about itself."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.metadata import metadata, version

import dynamo_bao

OPTIONAL = {
    "asgiref",
    "celery",
    "click",
    "django",
    "fastapi",
    "flask",
    "graphql",
    "moto",
    "opentelemetry",
    "pydantic",
    "pydantic_core",
    "pytest",
    "rich",
    "starlette",
    "strawberry",
    "watchfiles",
    "yaml",
}


def main() -> int:
    """Returns 1 if a module fails for another reason than a missing extra."""
    skipped, faults = [], []
    for module in pkgutil.walk_packages(dynamo_bao.__path__, "dynamo_bao."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            (skipped if (error.name or "").split(".")[0] in OPTIONAL else faults).append(
                f"{module.name}: {error}"
            )
        except (Exception, SystemExit) as error:
            (skipped if "pip install" in str(error) else faults).append(f"{module.name}: {error!r}")
    unloaded = [name for name in dynamo_bao.__all__ if not hasattr(dynamo_bao, name)]
    faults += [f"dynamo_bao.{name} is not there" for name in unloaded]
    if version("dynamo_bao") != dynamo_bao.__version__:
        faults.append(
            f"the metadata has version {version('dynamo_bao')}, and the package {dynamo_bao.__version__}"
        )
    needed = metadata("dynamo_bao").get_all("Requires-Dist") or []
    print(
        f"{len(skipped)} modules need an extra; needed are {', '.join(r for r in needed if 'extra' not in r)}."
    )
    print("\n".join(faults) or "All other modules can be imported.")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
