"""The tree of errors, what they carry, and the names the package exports."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

import dynamo_bao
from dynamo_bao import (
    BaoError,
    BatchContextError,
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
    QueryError,
    ServiceError,
    TableNotFoundError,
    TenantError,
    TenantMismatchError,
    TenantRequiredError,
    ThrottledError,
    TransactionError,
    TransactionTooLargeError,
    UncommittedChangesError,
    UniqueConstraintError,
    ValidationError,
    VersionConflictError,
    WriteOutcomeUnknownError,
    errors,
)
from dynamo_bao.dynamodb.expressions.paths import OperandError
from dynamo_bao.dynamodb.transport.error_mapping import (
    ConditionFailed,
    TransactionCancelled,
)
from dynamo_bao.errors import ALSO_BOTOCORES, reject_unknown, suggestion
from dynamo_bao.session.error_subjects import about
from dynamo_bao.writes.transaction_errors import transaction_failed

PARENTS: dict[str, tuple[type, ...]] = {
    "ConfigurationError": (BaoError, ValueError),
    "ModelFileError": (ConfigurationError,),
    "ValidationError": (BaoError, ValueError),
    "UnknownFieldError": (ValidationError, TypeError),
    "QueryError": (BaoError, ValueError),
    "ItemNotFoundError": (BaoError,),
    "ConditionalError": (BaoError,),
    "UniqueConstraintError": (ConditionalError,),
    "VersionConflictError": (ConditionalError,),
    "TransactionError": (BaoError,),
    "TransactionTooLargeError": (TransactionError, ValueError),
    "BatchContextError": (BaoError, RuntimeError),
    "BatchContextRequiredError": (BatchContextError,),
    "ConcurrencyError": (BatchContextError,),
    "LazyLoadError": (BatchContextError,),
    "BudgetExceededError": (BatchContextError,),
    "BatchIncompleteError": (BaoError,),
    "CommitError": (BaoError,),
    "UncommittedChangesError": (CommitError,),
    "TenantError": (BaoError,),
    "TenantRequiredError": (TenantError, RuntimeError),
    "TenantMismatchError": (TenantError, ValueError),
    "DataFormatError": (BaoError,),
    "ServiceError": (BaoError,),
    "TableNotFoundError": (ServiceError, ConfigurationError),
    "ThrottledError": (ServiceError,),
    "WriteOutcomeUnknownError": (BaoError,),
}


def load_everything() -> None:
    """Imports every module of the package, so that all of its classes exist."""
    for module in pkgutil.walk_packages(dynamo_bao.__path__, "dynamo_bao."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls, *(below for child in cls.__subclasses__() for below in subclasses(child))}


@pytest.mark.parametrize("name", PARENTS)
def test_each_error_has_its_place(name: str) -> None:
    """The parents are those of the tree, and misuse is a builtin kind of error too."""
    assert getattr(dynamo_bao, name).__bases__ == PARENTS[name]


def test_the_tree_is_complete() -> None:
    """Every error of the errors module is exported, and in the tree."""
    from dynamo_bao import errors

    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaoError) and value is not BaoError
    }
    assert defined == set(PARENTS)
    assert {*PARENTS, "BaoError", "BatchContextWarning"} <= set(dynamo_bao.__all__)
    for name in defined:
        assert f" {name}" in str(errors.__doc__)


def test_no_error_can_be_taken_for_a_missing_attribute_or_key() -> None:
    """`getattr`, `hasattr`, iteration and templates must not swallow them."""
    load_everything()
    for error in subclasses(BaoError):
        assert not issubclass(error, (AttributeError, LookupError, StopIteration)), error


SAMPLES: list[BaoError] = [
    BaoError("text"),
    ConfigurationError("text", model="User", field="name"),
    ModelFileError("text", file="models.yaml", line=3, model="User", field="name"),
    ValidationError("text", "name", {"a": 1}, [ValidationError("inner", "age", 5)]),
    dynamo_bao.UnknownFieldError("text", "naem", 1),
    QueryError("text", index="by_x", field="name"),
    ItemNotFoundError("text", model="User", key="1"),
    ConditionalError("text", model="User", key="1", operation="save"),
    UniqueConstraintError("email", "a@x", model="User", key="1"),
    VersionConflictError("text", model="User", key="1", operation="save"),
    TransactionError("text", ["ConditionalCheckFailed", None]),
    TransactionTooLargeError("text"),
    BatchContextError("text"),
    dynamo_bao.BatchContextRequiredError("text"),
    ConcurrencyError("text"),
    LazyLoadError("text", model="Post", field="user_id"),
    BudgetExceededError("text"),
    BatchIncompleteError("text", [("User", "1"), ("User", "2")]),
    CommitError("text", done=["a"], not_done=["b"], unknown=["c"]),
    UncommittedChangesError("text", not_done=["b"]),
    TenantError("text"),
    TenantRequiredError("text"),
    TenantMismatchError("text"),
    DataFormatError("text", model="User", key="1", field="name"),
    ServiceError("text", code="X", operation="GetItem"),
    ThrottledError("text", code="ThrottlingException", operation="Query"),
    WriteOutcomeUnknownError("text", model="User", key="1"),
    OperandError("text", "age", 5),
    TableNotFoundError("text", code="ResourceNotFoundException", operation="Query"),
    ConditionFailed("text", {"a": {"S": "x"}}),
    TransactionCancelled("text", ["TransactionConflict"], [None]),
    *(
        transaction_failed(["save User '1'", "create Org 'a'"], [None, error])
        for error in (
            UniqueConstraintError("email", "a@x", model="User", key="1"),
            VersionConflictError("text", model="User", key="1", operation="save"),
            ConditionalError("text", model="User", key="1", operation="save"),
            ItemNotFoundError("text", model="User", key="1"),
        )
    ),
]


def state(error: Any) -> Any:
    """Everything an error carries, with nested errors made comparable."""
    if isinstance(error, BaseException):
        return type(error), error.args, {name: state(value) for name, value in vars(error).items()}
    return [state(part) for part in error] if isinstance(error, tuple) else error


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_it_carries(error: BaoError, protocol: int) -> None:
    """Class, text and attributes survive (Celery, multiprocessing); the cause stays behind."""
    try:
        raise error from OSError("cause")
    except BaoError as raised:
        copied = pickle.loads(pickle.dumps(raised, protocol))
    assert state(copied) == state(error)
    assert str(copied) == str(error)
    assert copied.__cause__ is None
    assert copied.__traceback__ is None


def test_the_samples_are_every_error_there_is() -> None:
    """An error class added anywhere in the package is pickled here too; those that are also botocore's, elsewhere."""
    load_everything()
    classes = {cls for cls in subclasses(BaoError) if cls.__module__.startswith("dynamo_bao")}
    assert {cls for cls in classes if cls.__name__ not in ALSO_BOTOCORES} == {
        type(error) for error in SAMPLES
    }


def test_a_subclass_of_a_user_s_own_pickles() -> None:
    """Also one whose constructor takes other arguments."""
    copied = pickle.loads(pickle.dumps(OwnError(5)))
    assert (type(copied), copied.number, copied.message) == (OwnError, 5, "number 5")


class OwnError(ValidationError):
    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}", "n", number)
        self.number = number


def test_data_is_on_attributes() -> None:
    """Model, key, field and the rest are attributes, with nothing where they do not apply."""
    error = ItemNotFoundError("x", model="User", key="1")
    assert (error.model, error.key, error.silent_variable_failure) == ("User", "1", True)
    assert ValidationError("x").errors == ()
    assert (ValidationError("x").field, ValidationError("x").value) == (None, None)
    assert BatchIncompleteError("x").keys == ()
    assert TransactionError("x").reasons == ()
    assert (ConfigurationError("x").model, QueryError("x").index, ServiceError("x").code) == (
        None,
        None,
        None,
    )
    commit = CommitError("x", done=[1], not_done=[2], unknown=[3])
    assert (commit.done, commit.not_done, commit.unknown) == ((1,), (2,), (3,))


def test_a_unique_value_s_error_says_field_and_mend_and_not_the_value() -> None:
    """What, on which model and field, that nothing was written, and what to do."""
    error = UniqueConstraintError("email", "s3cr3t@x", model="User", key="1")
    assert (error.field, error.value, error.model, error.key) == ("email", "s3cr3t@x", "User", "1")
    assert "User: email must be unique" in str(error)
    assert "nothing was written" in str(error)
    assert "Choose another value" in str(error)
    assert "s3cr3t" not in str(error)


def test_a_unique_value_s_error_reads_well_without_a_model() -> None:
    """Made by hand, with the field and the value alone."""
    assert str(UniqueConstraintError("email", "x")).startswith("email must be unique, and its value is taken")
    assert "None" not in str(UniqueConstraintError("email", "x"))


def test_several_wrong_fields_make_one_error() -> None:
    """One wrong field is its own error; several are listed, and the first one's data is on the whole."""
    one, other = ValidationError("User.a is bad", "a", 1), ValidationError("User.b is bad", "b", 2)
    assert ValidationError.of("User", [one]) is one
    both = ValidationError.of("User", [one, other])
    assert both.message == "User: 2 fields are wrong: User.a is bad; User.b is bad"
    assert (both.field, both.value, both.errors) == ("a", 1, (one, other))


def test_a_wrong_name_brings_a_suggestion_or_the_names_there_are() -> None:
    """The closest name, else all of them, else nothing."""
    assert suggestion("naem", ["name", "age"]) == " Did you mean 'name'?"
    assert suggestion("xyz", ["name", "age"]) == " Available: age, name."
    assert suggestion("xyz", []) == ""


def test_unknown_keys_are_refused_with_a_suggestion() -> None:
    """The first unknown name is told, with what it stands for."""
    reject_unknown({"name": 1}, ["name"], "setting")
    with pytest.raises(ConfigurationError, match=r"Unknown setting 'naem'\. Did you mean 'name'\?"):
        reject_unknown({"name": 1, "naem": 2}, ["name"], "setting")


def test_the_warning_is_a_user_warning() -> None:
    """It is shown by default, and is no error of ours."""
    assert BatchContextWarning.__bases__ == (UserWarning,)


# --- the package's names -----------------------------------------------------------------------------


def test_the_exported_names_are_sorted_and_there() -> None:
    """In alphabetical order, none twice, all importable."""
    names = list(dynamo_bao.__all__)
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(dynamo_bao, name), name


def test_every_public_name_of_the_package_is_exported() -> None:
    """What can be imported from the package and is its own is in ``__all__``."""
    public = {
        name
        for name in dir(dynamo_bao)
        if not name.startswith("_") and not inspect.ismodule(getattr(dynamo_bao, name))
    }
    assert public == set(dynamo_bao.__all__)


# --- codes ---------------------------------------------------------------------------------------------

ERROR_CLASSES = [getattr(errors, name) for name in PARENTS]


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [vars(kind).get("error_code") for kind in (BaoError, *ERROR_CLASSES)]
    assert len(codes) == len({code for code in codes if re.fullmatch(r"BAO-\d{4}", code)})


def test_a_text_ends_with_the_code_and_the_message_has_none() -> None:
    error = QueryError("No such index.")
    assert str(error) == "No such index. [BAO-2003]"
    assert error.message == "No such index."
    assert str(QueryError("")) == ""


def test_an_error_made_of_others_has_one_code() -> None:
    parts = [ValidationError("name is required", "name"), ValidationError("age is too high", "age")]
    whole = ValidationError.of("User", parts)
    cancelled = transaction_failed(
        ["create User 'ada'"], [UniqueConstraintError("email", "a@b", model="User")]
    )
    assert [
        str(error).count("BAO-") for error in (whole, cancelled, about(DataFormatError("No."), "User"))
    ] == [1] * 3
    assert cancelled.reasons[0] is not None and "BAO-" not in cancelled.reasons[0]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NoCredentialsError", "BAO-7004"),
        ("EndpointConnectionError", "BAO-7003"),
        ("ReadTimeoutError", "BAO-7003"),
        ("NoRegionError", "BAO-1001"),
    ],
)
def test_errors_of_botocore_have_a_code_by_their_cause(name: str, code: str) -> None:
    assert getattr(errors, name).error_code == code


def test_the_page_of_errors_has_a_section_for_each_code() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text(encoding="utf-8")
    kinds = (
        BaoError,
        *ERROR_CLASSES,
        *(getattr(errors, name) for name in ALSO_BOTOCORES if hasattr(botocore.exceptions, name)),
    )
    codes = {kind.error_code for kind in kinds}
    assert set(re.findall(r"^\| (BAO-\d{4}) \|", page, re.MULTILINE)) == codes
    assert set(re.findall(r"^### (BAO-\d{4}) ", page, re.MULTILINE)) == codes - {"BAO-1000"}
