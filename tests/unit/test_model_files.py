"""What model files may say, what is left out means, and what a mistake is answered with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import ConfigurationError, Model, ModelFileError, PrimaryKey, SearchConfig
from dynamo_bao.modelfiles.description import Definitions, ModelDescription
from dynamo_bao.modelfiles.field_types import BUILT_IN
from dynamo_bao.modelfiles.members import members_from_others, names_of, own_members
from dynamo_bao.modelfiles.naming import module_name, python_name, snake_case, stored_name
from dynamo_bao.modelfiles.reader import read_definitions

USER = """\
models:
  User:
    modelPrefix: u
    fields:
      userId: {type: UlidField, autoAssign: true, required: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
      status: {type: StringField}
      age: {type: IntegerField}
      createdAt: {type: CreateDateField}
    primaryKey: {partitionKey: userId}
    indexes:
      byStatus: {partitionKey: status, sortKey: createdAt, indexId: gsi1}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
"""

Read = Callable[..., Definitions]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads a text as ``models.yaml``."""
    monkeypatch.chdir(tmp_path)

    def definitions(text: str, **options: Any) -> Definitions:
        Path("models.yaml").write_text(text, encoding="utf-8")
        return read_definitions("models.yaml", **options)

    return definitions


def changed(*changes: tuple[str, str]) -> str:
    """The user's file with texts replaced."""
    text = USER
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "python", "stated"),
    [
        ("userId", "user_id", None),
        ("name", "name", None),
        ("externalURL", "external_url", "externalURL"),
        ("userID", "user_id", "userID"),
        ("user_id", "user_id", "user_id"),
        ("x2Y", "x2_y", None),
        ("address2", "address2", None),
        ("class", "class_", None),
        ("größe", "größe", None),
    ],
)
def test_names_become_snake_case_and_are_stored_as_they_are(
    stored: str, python: str, stated: str | None
) -> None:
    """A name that camel case does not give back is stated with the field."""
    assert python_name(stored) == python
    assert stored_name(stored, python) == stated


def test_modules_are_called_like_their_models() -> None:
    """In snake case; Python's own words get an underscore."""
    names = {"User": "user", "TaggedPost": "tagged_post", "URLMap": "url_map", "Class": "class_"}
    assert {name: module_name(name) for name in names} == names
    assert snake_case("HTMLBody") == "html_body"


def test_a_field_called_like_a_method_keeps_its_stored_name(read: Read) -> None:
    """``count`` is ``count_`` in Python, and ``count`` in the table."""
    (model,) = read(changed(("age:", "count:"))).models.values()
    field = model.fields["count_"]
    assert (field.stored, field.declaration().attribute) == ("count", "")
    assert field.declaration().bind("count_", "User", "count").attribute == "count"


@pytest.mark.parametrize(
    ("stored", "attribute"), [("ageInYears", ""), ("ageURL", "ageURL"), ("age_x", "age_x")]
)
def test_a_name_that_camel_case_does_not_give_back_is_declared(
    read: Read, stored: str, attribute: str
) -> None:
    """So that every field is stored under the file's name."""
    (model,) = read(changed(("age:", f"{stored}:"))).models.values()
    field = model.fields[python_name(stored)]
    assert field.declaration().attribute == attribute


# --- what is described ---------------------------------------------------------------------------------


def user(read: Read, *changes: tuple[str, str], **options: Any) -> ModelDescription:
    return read(changed(*changes), **options).models["User"]


def test_a_model_is_described(read: Read) -> None:
    """Its prefix, fields, keys and constraints, by their Python names."""
    model = user(read)
    assert (model.name, model.prefix, model.line) == ("User", "u", 2)
    assert list(model.fields) == ["user_id", "name", "email", "status", "age", "created_at"]
    assert (model.primary.partition, model.primary.sort, model.primary.name) == ("user_id", None, None)
    (index,), (constraint,) = model.indexes, model.constraints
    assert (index.name, index.partition, index.sort, index.id) == (
        "by_status",
        "status",
        "created_at",
        "gsi1",
    )
    assert (constraint.name, constraint.field, constraint.id) == ("unique_email", "email", "uc1")


def test_what_is_left_out(read: Read) -> None:
    """Neither iterable nor searchable, a standard table, keys as JavaScript has them."""
    model = user(read)
    assert (model.table_type, model.iterable, model.iteration_buckets, model.search) == (
        "standard",
        False,
        0,
        None,
    )
    assert model.options("dynamo-bao") == {
        "prefix": "u",
        "key_format": "dynamo-bao",
        "attribute_style": "camel",
    }


@pytest.mark.parametrize(
    ("stated", "default", "expected"),
    [
        ("iterable: true", False, (True, 10)),
        ("iterable: true\n    iterationBuckets: 25", False, (True, 25)),
        ("iterable: false\n    iterationBuckets: 0", False, (False, 0)),
        ("tableType: standard", True, (True, 10)),
        ("tableType: mapping", True, (False, 0)),
        ("iterable: false", True, (False, 0)),
    ],
)
def test_iteration(read: Read, stated: str, default: bool, expected: tuple[bool, int]) -> None:
    """Ten buckets unless another number is said; what nothing is said for, the caller decides for standard tables."""
    model = user(read, ("modelPrefix: u\n", f"modelPrefix: u\n    {stated}\n"), iterable_default=default)
    assert (model.iterable, model.iteration_buckets) == expected


def test_buckets_without_iterable_are_warned_of(read: Read) -> None:
    """JavaScript's versions take it for different things."""
    (warning,) = read(changed(("modelPrefix: u", "iterationBuckets: 5\n    modelPrefix: u"))).warnings
    assert warning.startswith("models.yaml:3: User sets iterationBuckets but not iterable")


FIELDS = [
    ("{type: StringField}", "str | None", {"default": None}),
    ("{type: StringField, required: false}", "str | None", {"default": None}),
    ("{type: StringField, required: true}", "str", {}),
    ("{type: StringField, defaultValue: a}", "str | None", {"default": "a"}),
    ("{type: StringField, defaultValue: a, required: true}", "str", {"default": "a"}),
    ("{type: StringField, defaultValue: null, required: true}", "str", {}),
    ("{type: IntegerField, defaultValue: 0}", "int", {"default": 0}),
    ("{type: BooleanField, defaultValue: false}", "bool", {"default": False}),
    ("{type: FloatField, precision: 2}", "float | None", {"precision": 2, "default": None}),
    ("{type: UlidField}", "str", {}),
    ("{type: UlidField, autoAssign: true}", "str", {"auto_assign": True}),
    ("{type: UuidField, autoAssign: true}", "UUID", {"auto_assign": True}),
    ("{type: VersionField, required: true}", "str", {}),
    ("{type: CounterField, required: false, defaultValue: 3}", "int", {"default": 3}),
    ("{type: CreateDateField, required: true}", "datetime", {}),
    ("{type: ModifiedDateField}", "datetime", {}),
    ("{type: BinaryField}", "bytes | None", {"default": None}),
    ("{type: StringSetField, maxStringLength: 3}", "set[str]", {"max_string_length": 3}),
    ("{type: StringSetField, required: true}", "set[str]", {"required": True}),
    ("{type: RelatedField, model: User}", "str | None", {"default": None}),
    ("{type: RelatedField, model: User, required: true}", "str", {}),
    ("{type: DateField, defaultValue: 2026-01-31}", "date | None", {"default": "2026-01-31"}),
    ("{type: TimeField, required: true}", "time", {}),
    ("{type: DurationField, defaultValue: PT8H, required: true}", "timedelta", {"default": "PT8H"}),
    ("{type: BinarySetField, maxMemberCount: 3}", "set[bytes]", {"max_member_count": 3}),
    ("{type: ListField, numbers: decimal, required: true}", "list[Any]", {"numbers": "decimal"}),
    ("{type: MapField, required: true, doc: 'words'}", "dict[str, Any]", {"doc": "words"}),
    ("{type: StringField, required: true, readOnly: true}", "str", {"read_only": True}),
    ("{type: CounterField, readOnly: true}", "int", {"read_only": True}),
]


@pytest.mark.parametrize(("stated", "annotation", "options"), FIELDS)
def test_fields(read: Read, stated: str, annotation: str, options: dict[str, Any]) -> None:
    """Not required means that it may be None, unless it fills itself or JavaScript stores its default for null."""
    field = user(read, ("{type: IntegerField}", stated)).fields["age"]
    assert f"{field.annotation.text}{' | None' * field.is_optional}" == annotation
    assert dict(field.options) == options


@pytest.mark.parametrize(
    ("stated", "optional"), [("{type: TtlField}", True), ("{type: TtlField, required: true}", False)]
)
def test_expiry(read: Read, stated: str, optional: bool) -> None:
    """A time to live is never unless it is required."""
    field = user(read, ("age: {type: IntegerField}", f"ttl: {stated}")).fields["ttl"]
    assert field.is_optional is optional


def test_fields_of_the_key_are_never_none(read: Read) -> None:
    """Whatever the file says of them, as in JavaScript."""
    field = user(
        read, ("userId: {type: UlidField, autoAssign: true, required: true}", "userId: {type: StringField}")
    ).fields["user_id"]
    assert (field.is_optional, dict(field.options)) == (False, {})


def test_every_kind_can_be_named(read: Read) -> None:
    """With nothing but its type, and what it cannot do without."""
    needed = {"RelatedField": ", model: User", "TtlField": ""}
    for name in BUILT_IN:
        key = "ttl" if name == "TtlField" else "age"
        stated = f"{key}: {{type: {name}{needed.get(name, '')}}}"
        assert user(read, ("age: {type: IntegerField}", stated)).fields[key].kind.name == name


def test_keys_of_the_model_s_own_prefix(read: Read) -> None:
    """``modelPrefix`` may stand for either half of a key."""
    model = user(
        read,
        ("partitionKey: userId}", "partitionKey: userId, sortKey: modelPrefix}"),
        ("partitionKey: status, sortKey: createdAt", "partitionKey: modelPrefix, sortKey: userId"),
    )
    assert model.primary.sort is None
    assert repr(model.indexes[0].partition) == "MODEL_PREFIX"


def test_the_primary_key_gets_a_name_for_queries(read: Read) -> None:
    """An index that is ``primaryKey`` is that name."""
    model = user(read, ("indexes:\n", "indexes:\n      usersForId: primaryKey\n"))
    assert model.primary.name == "users_for_id"
    assert [index.name for index in model.indexes] == ["by_status"]


@pytest.mark.parametrize("stated", ["gsi1", "GSI1", "GSI_INDEX_ID1"])
def test_index_ids_are_taken_in_every_spelling(read: Read, stated: str) -> None:
    """Files have them as the table does, or as JavaScript's constants."""
    assert user(read, ("indexId: gsi1", f"indexId: {stated}")).indexes[0].id == "gsi1"


@pytest.mark.parametrize(
    "stated", ["uniqueConstraintId: uc2", "uniqueConstraintId: _uc2", "constraintId: UNIQUE_CONSTRAINT_ID2"]
)
def test_constraint_ids_too(read: Read, stated: str) -> None:
    """Under either key."""
    assert user(read, ("uniqueConstraintId: uc1", stated)).constraints[0].id == "uc2"


def test_indexes_and_constraints_called_like_fields_get_other_names(read: Read) -> None:
    """JavaScript keeps them apart; in Python they share a class."""
    model = user(read, ("byStatus:", "status:"), ("uniqueEmail:", "email:"))
    assert (model.indexes[0].name, model.constraints[0].name) == ("by_status", "unique_email")


def test_a_relation_called_like_an_index_has_only_its_method(read: Read) -> None:
    """`model.by_status` is the index."""
    model = user(read, ("age: {type: IntegerField}", "byStatusId: {type: RelatedField, model: User}"))
    (relation,) = (member for member in own_members(model) if member.name == "by_status")
    assert names_of(relation) == ["get_by_status"]


def test_an_index_whose_query_would_hide_a_method_gets_another_name(read: Read) -> None:
    """Each model has a method `query_by_index`."""
    assert user(read, ("byStatus:", "byIndex:")).indexes[0].name == "by_index_"


@pytest.mark.parametrize("number", [0, 1001])
def test_a_model_has_1_to_1000_fields(read: Read, number: int) -> None:
    """The error says what to do about none, and about too many."""
    fields = ", ".join(f"f{position}: {{type: StringField}}" for position in range(number))
    with pytest.raises(ModelFileError, match=r"has (no fields; add|more than 1,000 fields; split)"):
        read(f"models: {{Wide: {{modelPrefix: w, fields: {{{fields}}}, primaryKey: {{partitionKey: f0}}}}}}")


def test_a_relation_to_a_model_of_the_program_is_refused(read: Read) -> None:
    """The model exists, so the error says more than that the files do not have it."""

    class Country(Model, prefix="co"):
        code: str
        primary_key = PrimaryKey("code")

    change = ("age: {type: IntegerField}", f"age: {{type: RelatedField, model: {Country.__name__}}}")
    with pytest.raises(
        ModelFileError, match="'Country', which is a model of the program and not of these files"
    ):
        read(changed(change))


@pytest.mark.parametrize(
    "stated",
    ["searchable: {fields: [name, email]}", "searchable: true\n    searchConfig: {fields: [name, email]}"],
)
def test_search_is_described_in_either_form(read: Read, stated: str) -> None:
    """As one mapping, or as JavaScript's two statics."""
    model = user(read, ("modelPrefix: u\n", f"modelPrefix: u\n    iterable: true\n    {stated}\n"))
    assert model.search == SearchConfig(["name", "email"])


def test_fields_of_a_mapping_model_are_relations_by_default(read: Read) -> None:
    """The key ``mapping`` makes them so."""
    model = user(
        read,
        ("modelPrefix: u\n", "modelPrefix: u\n    mapping: {}\n    tableType: mapping\n"),
    )
    assert model.table_type == "mapping"
    found = read(
        changed(
            ("modelPrefix: u\n", "modelPrefix: u\n    mapping: {x: 1}\n"),
            ("{type: IntegerField}", "{model: User}"),
        )
    ).models["User"]
    assert found.fields["age"].target == "User"


FRIENDS = """\
models:
  User:
    modelPrefix: u
    fields: {userId: {type: UlidField, autoAssign: true}, countId: {type: RelatedField, model: User}}
    primaryKey: {partitionKey: userId}
  Friendship:
    modelPrefix: f
    tableType: mapping
    fields:
      fromId: {type: RelatedField, model: User}
      toId: {type: RelatedField, model: User}
      since: {type: CreateDateField}
    primaryKey: {partitionKey: fromId, sortKey: toId}
    indexes:
      friendsForUser: primaryKey
      admirersForUser: {partitionKey: toId, sortKey: fromId, indexId: gsi1}
"""


def test_the_names_that_models_give_themselves_and_each_other(read: Read) -> None:
    """Queries, relations, and for mapping models the other ends; never a name that every model has."""
    models = read(FRIENDS).models
    names = {member.name: member for member in members_from_others(models, models["User"])}
    methods = ["query_admirers", "get_admirers", "query_friends", "get_friends"]
    assert list(names) == [*methods, "admirers", "friends"]
    assert getattr(names["get_friends"], "target", None) == "User"
    assert getattr(names["friends"], "target", None) == "User"
    (relation,) = own_members(models["User"])
    assert names_of(relation) == ["count_", "get_count"]  # count is a method of every model
    assert [m.name for m in own_members(models["Friendship"])] == [
        "query_admirers_for_user",
        "query_friends_for_user",
        "from",
        "to",
    ]
    standard = read(FRIENDS.replace("tableType: mapping", "tableType: standard")).models
    assert [m.name for m in members_from_others(standard, standard["User"])] == [
        "query_admirers",
        "query_friends",
        "admirers",
        "friends",
    ]


# --- what is wrong -----------------------------------------------------------------------------------------

WRONG = [
    (
        ("modelPrefix: u\n", "modelPrefx: u\n"),
        3,
        r"User has no key 'modelPrefx'. Did you mean 'modelPrefix'\?",
    ),
    (("    modelPrefix: u\n", ""), 2, "User has no modelPrefix; add modelPrefix"),
    (
        ("modelPrefix: u\n", "modelPrefix: 7\n"),
        3,
        'modelPrefix: 7, which is not a string; put it in quotes, modelPrefix: "7"',
    ),
    (("modelPrefix: u\n", "modelPrefix: users\n"), 2, "modelPrefix: 'users' is not 1 to 4 characters"),
    (
        ("modelPrefix: u\n", "modelPrefix: u\n    tableType: map\n"),
        4,
        "tableType: 'map'; give standard or mapping",
    ),
    (("modelPrefix: u\n", "modelPrefix: u\n    iterable: yes\n"), 4, "iterable: 'yes'; give true or false"),
    (
        ("modelPrefix: u\n", "modelPrefix: u\n    iterationBuckets: 1001\n"),
        4,
        "a whole number from 1 to 1000",
    ),
    (
        ("modelPrefix: u\n", "modelPrefix: u\n    iterable: true\n    iterationBuckets: 0\n"),
        5,
        "from 1 to 1000",
    ),
    (
        ("name: {type: StringField, required: true}", "name: StringField"),
        6,
        r"User.fields.name is 'StringField'; write \{type",
    ),
    (("name: {type: StringField, required: true}", "name:"), 6, r"User.fields.name is empty; write \{type"),
    (
        ("name: {type: StringField,", "name: {type: StringFeild,"),
        6,
        r"unknown field type 'StringFeild'. Did you mean 'StringField'\?",
    ),
    (("name: {type: StringField,", "name: {"), 6, "User.fields.name has no type; add type: StringField"),
    (
        ("name: {type: StringField,", "name: {type: EmailField,"),
        6,
        "'EmailField'.*own field classes need fields_dir",
    ),
    (
        ("name: {type: StringField,", "name: {type: EnumField,"),
        6,
        "EnumField, which needs a class of your program",
    ),
    (
        ("required: true}\n      email", "requierd: true}\n      email"),
        6,
        r"option of a StringField 'requierd'. Did you mean 'required'\?",
    ),
    (
        ("required: true}\n      email", "max_length: 3}\n      email"),
        6,
        r"'max_length'. Did you mean 'maxLength'\?",
    ),
    (("required: true}\n      email", "required: 1}\n      email"), 6, "required: 1; give true or false"),
    (
        ("required: true}\n      email", "maxLength: -1}\n      email"),
        6,
        "maxLength: -1; give a whole number of at least 0",
    ),
    (
        ("required: true}\n      email", "maxLength: 2, defaultValue: abc}\n      email"),
        6,
        "its default does not fit: .*3 characters",
    ),
    (
        ("required: true}\n      email", "choices: []}\n      email"),
        6,
        "choices: a list; give a list of texts",
    ),
    (("age: {type: IntegerField}", "age: {type: IntegerField, defaultValue: x}"), 9, "takes int, not str"),
    (
        ("age: {type: IntegerField}", "age: {type: DecimalField, defaultValue: x}"),
        9,
        "defaultValue: 'x'; give a number",
    ),
    (
        ("age: {type: IntegerField}", "age: {type: CreateDateField, defaultValue: 0}"),
        9,
        "no option of a CreateDateField 'defaultValue'",
    ),
    (("age: {type: IntegerField}", "age: {type: RelatedField}"), 9, "has no model; add"),
    (
        ("age: {type: IntegerField}", "age: {type: RelatedField, model: Usr}"),
        9,
        r"'Usr', which is not a model. Did you mean 'User'\?",
    ),
    (("age: {type: IntegerField}", "expiry: {type: TtlField}"), 9, "a TtlField must be named ttl"),
    (("age: {type: IntegerField}", "_age: {type: IntegerField}"), 9, "not a valid Python name"),
    (("age: {type: IntegerField}", "the-age: {type: IntegerField}"), 9, "not a valid Python name"),
    (
        ("age: {type: IntegerField}", "user_id: {type: IntegerField}"),
        9,
        "is called user_id in Python, and so is userId",
    ),
    (("age: {type: IntegerField}", "age: {type: IntegerField, minimum: true}"), 9, "minimum: true; give"),
    (("    primaryKey: {partitionKey: userId}\n", ""), 2, "has no primaryKey; add primaryKey"),
    (("primaryKey: {partitionKey: userId}", "primaryKey: userId"), 11, "User.primaryKey is 'userId'; write"),
    (
        ("partitionKey: userId}", "partitionKey: userid}"),
        11,
        r"'userid' as partitionKey, which is not a field of User. Did you mean 'userId'\?",
    ),
    (("partitionKey: userId}", "partitionKey: modelPrefix}"), 2, "a primary key without any field"),
    (
        ("partitionKey: userId}", "partitionKey: userId, sortkey: name}"),
        11,
        r"no key 'sortkey'. Did you mean 'sortKey'\?",
    ),
    (("partitionKey: status, sortKey", "sortKey"), 13, "byStatus has no partitionKey; add"),
    (("indexId: gsi1", "indexId: gsi6"), 13, "indexId: 'gsi6'; use one of gsi1, gsi2, gsi3, gsi4, gsi5"),
    (("indexId: gsi1", "indexId: 1"), 13, 'put it in quotes, indexId: "1"'),
    ((", indexId: gsi1", ""), 13, "has no indexId; add indexId: gsi1"),
    (
        ("    uniqueC", "      two: {partitionKey: name, indexId: gsi1}\n    uniqueC"),
        14,
        "the id gsi1, and so has by_status",
    ),
    (
        ("indexes:\n", "indexes:\n      a: primaryKey\n      b: primaryKey\n"),
        14,
        "gives the primary key a second name",
    ),
    (
        ("byStatus: {partitionKey: status,", "byStatus: {partitionKey: tags,"),
        13,
        "'tags' as partitionKey, which is not a field",
    ),
    (
        ("field: email,", "field: mail,"),
        15,
        r"'mail' as field, which is not a field of User. Did you mean 'email'\?",
    ),
    (("uniqueConstraintId: uc1", "uniqueConstraintId: uc4"), 15, "'uc4'; use one of uc1, uc2, uc3"),
    (
        (
            "uniqueConstraintId: uc1}",
            "uniqueConstraintId: uc1}\n      two: {field: name, uniqueConstraintId: uc1}",
        ),
        16,
        "the id uc1, and so has unique_email; use a different id for each",
    ),
    (("byStatus:", "by-status:"), 13, "the name 'by-status', which is not a valid Python name; rename it"),
    (
        (
            "uniqueConstraintId: uc1}",
            "uniqueConstraintId: uc1}\n      email: {field: name, uniqueConstraintId: uc2}",
        ),
        16,
        "has 'email', a name that the model already uses; rename it",
    ),
    (
        ("modelPrefix: u\n", "modelPrefix: u\n    iterable: true\n    searchable: {fields: [name, name]}\n"),
        5,
        "names a field twice; name each field once",
    ),
    (
        ("createdAt: {type: CreateDateField}", "createdAt: {type: StringSetField}"),
        2,
        "a StringSetField cannot be a key",
    ),
    (("models:", "model:"), 1, r"no top-level key 'model'. Did you mean 'models'\?"),
    (("models:", "version: 2\nmodels:"), 1, "no top-level key 'version'"),
    (("  User:", "  the user:"), 2, "'the user' is not a valid class name"),
]


@pytest.mark.parametrize(("change", "line", "why"), WRONG)
def test_what_is_wrong_is_told_with_line_and_mend(
    read: Read, change: tuple[str, str], line: int, why: str
) -> None:
    """The error names file, line, model, what is wrong and what to write."""
    with pytest.raises(ModelFileError, match=why) as caught:
        read(changed(change))
    assert (caught.value.file, caught.value.line) == ("models.yaml", line)
    assert str(caught.value).startswith(f"models.yaml:{line}: ")


POST = """
  {name}:
    modelPrefix: {prefix}
    fields:
      postId: {{type: UlidField, autoAssign: true}}
      userId: {{type: RelatedField, model: User}}
    primaryKey: {{partitionKey: postId}}
    indexes:
      postsForUser: {{partitionKey: userId, indexId: gsi1}}
"""


@pytest.mark.parametrize(
    ("name", "prefix", "why"),
    [
        ("Post", "u", r"Post has the modelPrefix 'u', and so has User \(models.yaml:2\)"),
        ("USER", "p", "USER has the module 'user', and so has User"),
        (
            "Note",
            "n",
            "Note.posts_for_user gives User the method query_posts, and so does Post.posts_for_user",
        ),
    ],
)
def test_models_that_do_not_go_together(read: Read, name: str, prefix: str, why: str) -> None:
    """One prefix, one module or one method for two of them."""
    text = USER + POST.format(name="Post", prefix="p") * (name == "Note")
    with pytest.raises(ModelFileError, match=why):
        read(text + POST.format(name=name, prefix=prefix))


def test_an_unknown_key_format(read: Read) -> None:
    """There are two."""
    with pytest.raises(ConfigurationError, match="use one of 'native', 'dynamo-bao'"):
        read(USER, key_format="javascript")


def test_a_key_that_javascript_cannot_sort_is_refused_with_its_line(read: Read) -> None:
    """Fractions as sort keys; a table of one's own may have them."""
    change = ("createdAt: {type: CreateDateField}", "createdAt: {type: FloatField, required: true}")
    with pytest.raises(ModelFileError, match=r"models\.yaml:2: .*does not sort fractions by value"):
        read(changed(change))
    assert read(changed(change), key_format="native").key_format == "native"


# --- files ---------------------------------------------------------------------------------------------


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    """Both suffixes, in the order of names, with relations across files; hidden files, others and folders are not."""
    (tmp_path / "b.yaml").write_text(USER)
    (tmp_path / "a.yml").write_text("models:" + POST.format(name="Post", prefix="p"))
    (tmp_path / ".c.yaml").write_text("{")
    (tmp_path / "d.txt").write_text("{")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "f.yaml").write_text("{")
    found = read_definitions(tmp_path)
    assert list(found.models) == ["Post", "User"]
    assert found.models["User"].file == str(tmp_path / "b.yaml")


def test_a_model_in_two_files_is_refused_with_both_places(tmp_path: Path) -> None:
    """Neither silently wins."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(USER)
    with pytest.raises(ModelFileError, match=r"b\.yaml:2: User is already described in .*a\.yaml:2"):
        read_definitions(tmp_path)


def test_a_file_of_a_folder_without_models_is_warned_of(tmp_path: Path) -> None:
    """It may be something else; or a misspelt word."""
    (tmp_path / "a.yaml").write_text(USER)
    (tmp_path / "compose.yaml").write_text("modles: {}")
    (warning,) = read_definitions(tmp_path).warnings
    assert "compose.yaml: no models found" in warning
    assert warning.endswith("Did you mean 'models' by 'modles'?")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "a folder without model files"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xff\n"), r":2: is not UTF-8"),
        (lambda path: path.write_text(""), r"the file is empty; write models"),
        (lambda path: path.write_text("[]"), r"the file is a list; write models"),
        (lambda path: path.write_text("models: {}"), "describes no models"),
        (lambda path: path.write_text("models:"), "describes no models"),
        (lambda path: path.write_text(f"#{'x' * (1 << 20)}"), "more than the 1,048,576 bytes"),
    ],
)
def test_what_is_no_model_file(tmp_path: Path, make: Callable[[Path], Any], why: str) -> None:
    """Is told as such, with its path."""
    path = tmp_path / "models.yaml"
    make(path)
    with pytest.raises(ModelFileError, match=why) as caught:
        read_definitions(path)
    assert caught.value.file == str(path)


def test_the_files_of_a_folder_share_one_limit(tmp_path: Path) -> None:
    """Many files are no way around it."""
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text(f"#{'x' * 500_000}\n")
    with pytest.raises(ModelFileError, match=r"2\.yaml: has more than the 1,048,576 bytes"):
        read_definitions(tmp_path)
