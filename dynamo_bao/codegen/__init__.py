"""Python source code from model files: typed, formatted modules that nobody edits."""

from dynamo_bao.codegen.files import Generated, generate
from dynamo_bao.codegen.watching import watch

__all__ = ["Generated", "generate", "watch"]
