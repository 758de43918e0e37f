"""dynamo_bao: a data mapper for DynamoDB with a batch context.

Inside ``with run_with_batch_context():`` key lookups are collected, and the first look at any of them
fetches all that is pending in as few ``BatchGetItem`` requests as possible.
"""

from dynamo_bao.capacity import Capacity
from dynamo_bao.context import (
    batched,
    current_session,
    get_batch_context_capacity,
    is_inside_batch_context,
    run_with_batch_context,
)
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
    DataFormatError,
    ItemNotFoundError,
    LazyLoadError,
    ModelFileError,
    ModelFileWarning,
    QueryError,
    ServiceError,
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
    BooleanField,
    CounterField,
    CreateDateField,
    DateTimeField,
    DecimalField,
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
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UuidField,
    VersionField,
)
from dynamo_bao.indexes import Index, PrimaryKey, UniqueConstraint
from dynamo_bao.iteration import Iteration
from dynamo_bao.manager import Manager, init_models
from dynamo_bao.model import Model
from dynamo_bao.modelfiles import load_models
from dynamo_bao.policy import AllowDirect, Policy, RequireContext, WarnOutside
from dynamo_bao.relations import Related
from dynamo_bao.repository import Repository
from dynamo_bao.results import QueryResult
from dynamo_bao.search import SearchResult
from dynamo_bao.searchtext import SearchConfig
from dynamo_bao.session.session import Session
from dynamo_bao.session.stats import Stats
from dynamo_bao.shapes import MODEL_PREFIX
from dynamo_bao.tenancy import TenantContext
from dynamo_bao.transaction import Transaction, transaction

__version__ = "0.1.0"

__all__ = [
    "AllowDirect",
    "BaoError",
    "BatchContextError",
    "BatchContextRequiredError",
    "BatchContextWarning",
    "BatchIncompleteError",
    "BinaryField",
    "BooleanField",
    "BudgetExceededError",
    "Capacity",
    "CommitError",
    "ConcurrencyError",
    "ConditionalError",
    "ConfigurationError",
    "CounterField",
    "CreateDateField",
    "DataFormatError",
    "DateTimeField",
    "DecimalField",
    "EnumField",
    "Field",
    "FloatField",
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
    "NestedField",
    "NumberSetField",
    "Policy",
    "PrimaryKey",
    "QueryError",
    "QueryResult",
    "Related",
    "RelatedField",
    "Repository",
    "RequireContext",
    "SearchConfig",
    "SearchResult",
    "ServiceError",
    "Session",
    "Stats",
    "StringField",
    "StringSetField",
    "TenantContext",
    "TenantError",
    "TenantMismatchError",
    "TenantRequiredError",
    "ThrottledError",
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
]
