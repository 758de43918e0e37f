"""Python source code from model files: typed, formatted modules that nobody edits."""

from dynamo_bao.modelfiles.codegen.package_writer import Generated, generate
from dynamo_bao.modelfiles.codegen.watcher import watch

__all__ = ["Generated", "generate", "watch"]
