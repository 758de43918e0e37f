# shop/main.py
import logging

from dynamo_bao import RequireContext, init_models
from shop.web import app

logging.basicConfig(level="INFO")
# the table is named in the settings
manager = init_models(policy=RequireContext(), tenancy={"enabled": True})

__all__ = ["app"]
