"""Jobs over all items of a model or a table: count, export, import, check and reindex."""

from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import export_items
from dynamo_bao.maintenance.import_items import import_items
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from dynamo_bao.maintenance.scanners import scanner_for

__all__ = [
    "count_items",
    "examine_table",
    "export_items",
    "import_items",
    "rebuild_search_texts",
    "reindex_items",
    "scanner_for",
]
