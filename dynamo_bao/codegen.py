"""The public name of `dynamo_bao.modelfiles.codegen`: Python source code from model files."""

from dynamo_bao.modelfiles.codegen import Generated, generate, watch

__all__ = ["Generated", "generate", "watch"]
