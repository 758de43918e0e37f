"""dynamo_bao: a data mapper for DynamoDB with a batch context.

Inside ``with run_with_batch_context():`` key lookups are collected, and the first look at any of them
fetches all that is pending in as few ``BatchGetItem`` requests as possible.
"""

# First of all, while few imports are nested. Its loops call small functions 1,600 times, and at some depths of the
# stack CPython 3.11 maps and unmaps a block of memory at each call, which took a sixth of the whole import.
import socket as _socket  # noqa: F401
import typing as _typing
from importlib import import_module as _import_module

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.errors import (
    BaoError,
    BatchContextError,
    BatchContextRequiredError,
    BatchContextWarning,
    BatchIncompleteError,
    BudgetExceededError,
    CommitError,
    ConcurrencyError,
    ConditionalError,
    ConfigurationError,
    ConfigurationWarning,
    DataFormatError,
    ItemNotFoundError,
    LazyLoadError,
    ModelFileError,
    ModelFileWarning,
    NaiveDatetimeWarning,
    QueryError,
    ServiceError,
    SeveralManagersWarning,
    TableNotFoundError,
    TenantError,
    TenantMismatchError,
    TenantRequiredError,
    ThrottledError,
    TransactionError,
    TransactionTooLargeError,
    UncommittedChangesError,
    UniqueConstraintError,
    UnknownFieldError,
    ValidationError,
    VersionConflictError,
    WriteOutcomeUnknownError,
)
from dynamo_bao.fields import (
    BinaryField,
    BinarySetField,
    BooleanField,
    CounterField,
    CreateDateField,
    DateField,
    DateTimeField,
    DecimalField,
    DurationField,
    EnumField,
    Field,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    ModifiedDateField,
    NestedField,
    NumberSetField,
    RelatedField,
    SetField,
    StringField,
    StringSetField,
    TimeField,
    TtlField,
    UlidField,
    UuidField,
    VersionField,
)
from dynamo_bao.mapping.key_schema import MODEL_PREFIX
from dynamo_bao.mapping.search_text import Search, SearchConfig
from dynamo_bao.models.batch_context import batched, run_with_batch_context
from dynamo_bao.models.indexes import (
    ChildQueryMethod,
    FindMethod,
    Index,
    PrimaryKey,
    QueryMethod,
    UniqueConstraint,
)
from dynamo_bao.models.manager import Manager, init_models
from dynamo_bao.models.model import Model
from dynamo_bao.models.relationships import HasMany, Related
from dynamo_bao.models.repository import Repository
from dynamo_bao.policy import AllowDirect, Policy, RequireContext, WarnOutside
from dynamo_bao.session.context import (
    current_session,
    get_batch_context_capacity,
    is_inside_batch_context,
)
from dynamo_bao.session.session import Session
from dynamo_bao.session.stats import Stats
from dynamo_bao.session.tenancy import TenantContext
from dynamo_bao.session.unit_of_work import CommitFigures

if _typing.TYPE_CHECKING:
    from dynamo_bao.dynamodb.expressions.parser import Value, where
    from dynamo_bao.dynamodb.expressions.update_values import (
        AddMembers,
        Append,
        DropMembers,
        IfMissing,
        Increment,
        Prepend,
        Remove,
    )
    from dynamo_bao.modelfiles import load_models
    from dynamo_bao.models.transaction import Transaction, transaction
    from dynamo_bao.reads.iteration import Iteration
    from dynamo_bao.reads.query import QueryOptions
    from dynamo_bao.reads.query_result import QueryResult
    from dynamo_bao.reads.search import SearchResult
else:
    _MODULES_OF_LATE_NAMES = {
        "dynamodb.expressions.parser": "Value where",
        "dynamodb.expressions.update_values": "AddMembers Append DropMembers IfMissing Increment Prepend Remove",
        "modelfiles": "load_models",
        "models.transaction": "Transaction transaction",
        "reads.iteration": "Iteration",
        "reads.query": "QueryOptions",
        "reads.query_result": "QueryResult",
        "reads.search": "SearchResult",
    }
    _LATE = {name: module for module, names in _MODULES_OF_LATE_NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """The names that many programs never use. Their modules are imported when one is first used."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_import_module(f"{__name__}.{_LATE[name]}"), name)
        return value

    def __dir__() -> list[str]:
        """All public names, also those that are not loaded yet."""
        return sorted({*globals(), *_LATE})


__version__ = "1.0.0rc2.dev0"

__all__ = [
    "AddMembers",
    "AllowDirect",
    "Append",
    "BaoError",
    "BatchContextError",
    "BatchContextRequiredError",
    "BatchContextWarning",
    "BatchIncompleteError",
    "BinaryField",
    "BinarySetField",
    "BooleanField",
    "BudgetExceededError",
    "Capacity",
    "ChildQueryMethod",
    "CommitError",
    "CommitFigures",
    "ConcurrencyError",
    "ConditionalError",
    "ConfigurationError",
    "ConfigurationWarning",
    "CounterField",
    "CreateDateField",
    "DataFormatError",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DropMembers",
    "DurationField",
    "EnumField",
    "Field",
    "FindMethod",
    "FloatField",
    "HasMany",
    "IfMissing",
    "Increment",
    "Index",
    "IntegerField",
    "ItemNotFoundError",
    "Iteration",
    "JsonField",
    "LazyLoadError",
    "ListField",
    "MODEL_PREFIX",
    "Manager",
    "MapField",
    "Model",
    "ModelFileError",
    "ModelFileWarning",
    "ModifiedDateField",
    "NaiveDatetimeWarning",
    "NestedField",
    "NumberSetField",
    "Policy",
    "Prepend",
    "PrimaryKey",
    "QueryError",
    "QueryMethod",
    "QueryOptions",
    "QueryResult",
    "Related",
    "RelatedField",
    "Remove",
    "Repository",
    "RequireContext",
    "Search",
    "SearchConfig",
    "SearchResult",
    "ServiceError",
    "Session",
    "SetField",
    "SeveralManagersWarning",
    "Stats",
    "StringField",
    "StringSetField",
    "TableNotFoundError",
    "TenantContext",
    "TenantError",
    "TenantMismatchError",
    "TenantRequiredError",
    "ThrottledError",
    "TimeField",
    "Transaction",
    "TransactionError",
    "TransactionTooLargeError",
    "TtlField",
    "UlidField",
    "UncommittedChangesError",
    "UniqueConstraint",
    "UniqueConstraintError",
    "UnknownFieldError",
    "UuidField",
    "ValidationError",
    "Value",
    "VersionConflictError",
    "VersionField",
    "WarnOutside",
    "WriteOutcomeUnknownError",
    "batched",
    "current_session",
    "get_batch_context_capacity",
    "init_models",
    "is_inside_batch_context",
    "load_models",
    "run_with_batch_context",
    "transaction",
    "where",
]
