"""Plans of writes and of reads, as pure values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from attrs import evolve

from dynamo_bao import (
    MODEL_PREFIX,
    AllowDirect,
    CounterField,
    DateTimeField,
    Index,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    UniqueConstraint,
    ValidationError,
    VersionField,
)
from dynamo_bao.dynamodb.document_diff import Edit
from dynamo_bao.dynamodb.expressions.conditions import EMPTY, Compare, Condition, Exists, Negation, all_of
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.updates import PartChange, Update
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.session.pending_lookups import PendingKeys, PlannedBatch, plan_reads
from dynamo_bao.writes.actions import (
    NO_ATTRIBUTE,
    NOT_STORED,
    STORED,
    Action,
    Assumed,
    WritePlan,
    check_update_size,
    request_for,
)
from dynamo_bao.writes.item_size import check_item_size, item_bytes
from dynamo_bao.writes.plans import (
    CounterDelta,
    ItemRef,
    SetDelta,
    needs_known,
    plan_create,
    plan_delete,
    plan_replace,
    plan_update,
)

DAY = datetime(2025, 1, 1, tzinfo=timezone.utc)
DAY_KEY = "00000001735689600000"


def model() -> type[Any]:
    class User(Model, prefix="u", iterable=True, iteration_buckets=1):
        user_id: str
        name: str | None = None
        email: str | None = None
        handle: str | None = StringField(default=None, attribute="h")
        status: str | None = None
        made_at: datetime | None = DateTimeField(default=None)
        views: int = CounterField()
        likes: int = CounterField(default=10)
        tags: set[str] = StringSetField()
        primary_key = PrimaryKey("user_id")
        by_status = Index("status", "made_at", id="gsi1")
        everyone = Index(MODEL_PREFIX, "name", id="gsi2")
        unique_email = UniqueConstraint("email", id="uc1")
        unique_handle = UniqueConstraint("handle", id="uc2")

    return User


SCHEMA = model().__bao_schema__
BASE: dict[str, Any] = {
    "user_id": "1",
    "name": None,
    "email": None,
    "handle": None,
    "status": None,
    "made_at": None,
    "views": 0,
    "likes": 10,
    "tags": set(),
}


def subject(tenant: str | None = None) -> ItemRef:
    return ItemRef(SCHEMA, tenant, SCHEMA.keys.from_key(tenant, "1"))


def known(**values: Any) -> StoredItem:
    """An item as it would be stored, with all of its keys."""
    complete = {**BASE, **values}
    item = SCHEMA.item(None, SCHEMA.keys.from_key(None, "1"), complete)
    return StoredItem.read(SCHEMA, SCHEMA.keys.from_key(None, "1"), item)


def stored(name: str, value: Any) -> Compare:
    return Compare(Attribute(name), "=", value)


def absent(name: str) -> Negation:
    return Negation(Exists(Attribute(name)))


OWNED = all_of((stored("relatedId", {"S": "1"}), stored("relatedModel", {"S": "User"})))


def guard(number: int, attribute: str, value: str) -> Key:
    return Key(f"_raft_uc#_uc{number}#u#{attribute}:{value}", "_raft_uc")


def part(steps: tuple[Any, ...], action: str, value: Any = None, before: Any = None) -> PartChange:
    """A change of a part of the attribute ``d``."""
    return PartChange(Attribute("d", steps), Edit(steps, action, value, before=before))


# --- create -----------------------------------------------------------------------------------------


def test_a_create_is_one_put_of_what_must_not_exist() -> None:
    """Without unique values there is one action, which never overwrites."""
    values = {**BASE, "name": "Ann"}
    plan = plan_create(subject(), values, EMPTY)
    (put,) = plan.actions
    assert (put.kind, put.key, put.condition, put.update) == ("Put", Key("u#1", "u"), NOT_STORED, None)
    assert put.item == SCHEMA.item(None, subject().identity, values)
    assert plan.main == 0
    assert plan.constraints == (None,)


def test_a_create_claims_its_unique_values_first_in_order() -> None:
    """A guard for each unique value, in the order of the constraints, and the item last."""
    values = {**BASE, "email": "a@x", "handle": "ann"}
    plan = plan_create(subject(), values, EMPTY)
    email, handle, main = plan.actions
    assert plan.main_action is main
    assert (main.kind, main.key) == ("Put", Key("u#1", "u"))
    assert (email.key, handle.key) == (guard(1, "email", "a@x"), guard(2, "h", "ann"))
    assert plan.constraints == (("email", "a@x"), ("handle", "ann"), None)
    for action in (email, handle):
        assert action.kind == "Put"
        assert action.condition == NOT_STORED | OWNED
        assert action.item == {
            "_pk": {"S": action.key.pk},
            "_sk": {"S": "_raft_uc"},
            "uniqueValue": {"S": action.key.pk},
            "relatedId": {"S": "1"},
            "relatedModel": {"S": "User"},
        }


def test_a_tenant_s_create_has_the_tenant_in_every_key() -> None:
    """Guard, item and index keys carry it, and the guard says whose it is."""
    plan = plan_create(subject("acme"), {**BASE, "email": "a@x", "name": "Ann"}, EMPTY)
    first, main = plan.actions
    assert first.item is not None
    assert main.item is not None
    assert first.key.pk == "[acme]#_raft_uc#_uc1#u#email:a@x"
    assert first.item["_gsi_test_id"] == {"S": "acme"}
    assert main.item["_gsi2_pk"] == {"S": "[acme]#u#gsi2#u"}
    assert main.item["_iter_pk"] == {"S": "[acme]#u#iter"}


def test_a_create_s_condition_is_added_to_its_own() -> None:
    """The caller's condition is ANDed with "must not exist"."""
    condition = stored("name", {"S": "x"})
    assert plan_create(subject(), BASE, condition).main_action.condition == NOT_STORED & condition


# --- update -----------------------------------------------------------------------------------------


def updated(changes: dict[str, Any], before: StoredItem | None = None, **options: Any) -> Action:
    """The main action of an update; there must be no other."""
    plan = plan_update(subject(), changes, before, EMPTY, **options)
    assert len(plan.actions) == 1
    return plan.main_action


def test_an_update_changes_only_what_it_names_of_an_item_that_must_exist() -> None:
    """Values are set, None removes; the caller's condition is added."""
    condition = stored("views", {"N": "0"})
    plan = plan_update(subject(), {"made_at": None, "likes": 3}, None, condition)
    action = plan.main_action
    assert (action.kind, action.key) == ("Update", Key("u#1", "u"))
    assert action.condition == STORED & condition
    assert action.update == Update(
        set_={"likes": {"N": "3"}}, remove={"made_at": None, "_gsi1_pk": None, "_gsi1_sk": None}
    )


def test_half_of_an_index_writes_that_half_where_the_other_is_there() -> None:
    """Each half depends on its own field; that the other is there is the write's condition."""
    for before in (None, known(status="old", made_at=DAY)):
        action = updated({"status": "new"}, before)
        assert action.update == Update(set_={"status": {"S": "new"}, "_gsi1_pk": {"S": "u#gsi1#new"}})
        assert action.condition == STORED & Exists(Attribute("_gsi1_sk"))
        action = updated({"made_at": DAY}, before)
        assert action.update == Update(set_={"made_at": {"N": "1735689600000"}, "_gsi1_sk": {"S": DAY_KEY}})
        assert action.condition == STORED & Exists(Attribute("_gsi1_pk"))


def test_both_halves_together_need_no_condition() -> None:
    """An update that knows both parts writes both."""
    action = updated({"status": "new", "made_at": DAY})
    assert action.update is not None
    assert action.update.set_["_gsi1_pk"] == {"S": "u#gsi1#new"}
    assert action.update.set_["_gsi1_sk"] == {"S": DAY_KEY}
    assert action.condition == STORED


@pytest.mark.parametrize("changes", [{"status": None}, {"made_at": None}, {"status": None, "made_at": DAY}])
def test_a_part_that_becomes_none_removes_both_halves(changes: dict[str, Any]) -> None:
    """An item with half an index key would be in the index with a wrong one."""
    for before in (None, known(status="old", made_at=DAY)):
        action = updated(changes, before)
        assert action.update is not None
        assert {"_gsi1_pk", "_gsi1_sk"} <= set(action.update.remove)
        assert not {"_gsi1_pk", "_gsi1_sk"} & set(action.update.set_)


def test_a_part_that_gets_a_value_puts_the_item_into_the_index() -> None:
    """Where the item was in no index, both halves are written, on condition of the value read."""
    action = updated({"status": "new"}, known(made_at=DAY))
    assert action.update is not None
    assert action.update.set_["_gsi1_pk"] == {"S": "u#gsi1#new"}
    assert action.update.set_["_gsi1_sk"] == {"S": DAY_KEY}
    assert action.condition == STORED & stored("made_at", {"N": "1735689600000"})


def test_an_index_whose_other_part_is_absent_stays_without_keys() -> None:
    """Nothing of the index is written, on condition that the other part is still absent."""
    action = updated({"status": "new"}, known())
    assert action.update == Update(set_={"status": {"S": "new"}})
    assert action.condition == STORED & absent("made_at")


def test_an_index_on_the_prefix_depends_on_one_field_only() -> None:
    """With the prefix as the other part both halves are known from the change."""
    action = updated({"name": "Ann"})
    assert action.update is not None
    assert action.update.set_ == {
        "name": {"S": "Ann"},
        "_gsi2_pk": {"S": "u#gsi2#u"},
        "_gsi2_sk": {"S": "Ann"},
    }
    assert action.condition == STORED
    removed = updated({"name": None}).update
    assert removed is not None
    assert set(removed.remove) == {"name", "_gsi2_pk", "_gsi2_sk"}


def test_a_changed_unique_value_frees_the_old_and_claims_the_new() -> None:
    """Both guards and the item in one plan, on condition of the stored value."""
    plan = plan_update(subject(), {"email": "b@x"}, known(email="a@x"), EMPTY)
    freed, claimed, main = plan.actions
    assert (freed.kind, freed.key, freed.condition) == (
        "Delete",
        guard(1, "email", "a@x"),
        NOT_STORED | OWNED,
    )
    assert (claimed.kind, claimed.key, claimed.condition) == (
        "Put",
        guard(1, "email", "b@x"),
        NOT_STORED | OWNED,
    )
    assert plan.main_action is main
    assert plan.constraints == (None, ("email", "b@x"), None)
    assert main.condition == STORED & stored("email", {"S": "a@x"})


def test_a_first_and_a_last_unique_value() -> None:
    """A value where there was none is claimed, on condition of absence; one taken away is freed."""
    claimed, main = plan_update(subject(), {"handle": "ann"}, known(), EMPTY).actions
    assert (claimed.kind, claimed.key) == ("Put", guard(2, "h", "ann"))
    assert main.condition == STORED & absent("h")
    freed, main = plan_update(subject(), {"handle": None}, known(handle="ann"), EMPTY).actions
    assert (freed.kind, freed.key) == ("Delete", guard(2, "h", "ann"))
    assert main.update == Update(remove={"h": None})
    assert main.condition == STORED & stored("h", {"S": "ann"})


def test_an_unchanged_unique_value_is_left_alone() -> None:
    """Setting the same value, or another field, touches no guard; the same one must still be the one stored."""
    assert updated({"email": "a@x"}, known(email="a@x")).condition == STORED & stored("email", {"S": "a@x"})
    assert updated({"handle": None}, known()).condition == STORED & absent("h")
    assert updated({"likes": 1}, known(email="a@x")).condition == STORED


def test_reindexing_writes_every_key_and_guard_anew() -> None:
    """All index and iteration keys are set or removed, and guards claimed again for what is stored."""
    before = known(email="a@x", status="old", made_at=DAY, handle=None)
    claimed, main = plan_update(subject(), {}, before, EMPTY, reindex=True).actions
    assert (claimed.kind, claimed.key) == ("Put", guard(1, "email", "a@x"))
    sources = all_of(
        (stored("made_at", before.item["made_at"]), absent("name"), stored("status", {"S": "old"}))
    )
    assert main.condition == all_of((STORED, sources, stored("email", {"S": "a@x"})))
    assert main.update is not None
    assert main.update.set_ == {
        "_gsi1_pk": {"S": "u#gsi1#old"},
        "_gsi1_sk": {"S": DAY_KEY},
        "_iter_pk": {"S": "u#iter"},
        "_iter_sk": {"S": "1"},
    }
    assert set(main.update.remove) == {"_gsi2_pk", "_gsi2_sk"}


def test_reindexing_takes_out_keys_that_the_model_has_no_more() -> None:
    """An index that was dropped, iteration and a search text that were given up leave nothing behind."""

    class Small(Model, prefix="s"):
        small_id: str
        primary_key = PrimaryKey("small_id")
        all_small = Index(MODEL_PREFIX, id="gsi1")

    schema = Small.__bao_schema__  # type: ignore[attr-defined]
    one = ItemRef(schema, None, schema.keys.from_key(None, "1"))
    left = {name: {"S": "x"} for name in ("_gsi4_pk", "_gsi4_sk", "_iter_pk", "_searchText", "_other")}
    before = StoredItem.read(schema, one.identity, {"_pk": {"S": "s#1"}, "_sk": {"S": "s"}, **left})
    (main,) = plan_update(one, {}, before, EMPTY, reindex=True).actions
    assert main.update is not None
    assert main.update.set_ == {"_gsi1_pk": {"S": "s#gsi1#s"}, "_gsi1_sk": {"S": "s"}}
    assert list(main.update.remove) == ["_gsi4_pk", "_gsi4_sk", "_iter_pk", "_searchText"]


def test_a_counter_s_difference_is_added() -> None:
    """An addition on the server, which needs no condition where counting starts at zero."""
    action = updated({"views": CounterDelta(-3)})
    assert action.update == Update(add={"views": {"N": "-3"}})
    assert action.condition == STORED
    assert not action.is_idempotent()


def test_an_absent_counter_starts_from_its_default() -> None:
    """Known to be absent it is set, on condition of absence; unknown, it must be there to be added to."""
    assert updated({"likes": CounterDelta(2)}).condition == STORED & Exists(Attribute("likes"))
    before = known()
    del before.item["likes"]
    action = updated({"likes": CounterDelta(2)}, before)
    assert action.update == Update(set_={"likes": {"N": "12"}})
    assert action.condition == STORED & absent("likes")
    assert updated({"likes": CounterDelta(2)}, known()).update == Update(add={"likes": {"N": "2"}})


def test_set_members_are_added_or_taken_out() -> None:
    """Only the difference is sent: additions alone, removals alone."""
    assert updated({"tags": SetDelta(frozenset("b"), frozenset())}, known(tags={"a"})).update == Update(
        add={"tags": {"SS": ["b"]}}
    )
    assert updated({"tags": SetDelta(frozenset(), frozenset("a"))}, known(tags={"a"})).update == Update(
        delete={"tags": {"SS": ["a"]}}
    )


def test_members_added_and_taken_out_together_replace_the_set_that_was_read() -> None:
    """The merged set is set, on condition of the stored one."""
    action = updated({"tags": SetDelta(frozenset("c"), frozenset("a"))}, known(tags={"a", "b"}))
    assert action.update == Update(set_={"tags": {"SS": ["b", "c"]}})
    assert action.condition == STORED & stored("tags", {"SS": ["a", "b"]})


def test_an_assigned_set_is_sent_whole_and_an_empty_one_removed() -> None:
    """There is no empty set in DynamoDB."""
    assert updated({"tags": {"x", "y"}}).update == Update(set_={"tags": {"SS": ["x", "y"]}})
    assert updated({"tags": set()}).update == Update(remove={"tags": None})


def test_plans_are_repeatable() -> None:
    """The same knowledge gives the same plan, and making it changes nothing that was given."""
    changes = {"email": "b@x", "status": "new", "tags": {"x"}, "name": None}
    before = known(email="a@x", status="old", made_at=DAY)
    item = dict(before.item)
    first = plan_update(subject(), changes, before, EMPTY)
    assert first == plan_update(subject(), changes, before, EMPTY)
    assert before.item == item
    assert request_for(first, "t", SCHEMA, "token") == request_for(first, "t", SCHEMA, "token")


# --- delete -----------------------------------------------------------------------------------------


def test_a_delete_is_of_an_item_that_must_exist() -> None:
    """Knowing nothing, the plan is one conditional delete."""
    condition = stored("name", {"S": "x"})
    plan = plan_delete(subject(), None, condition)
    (action,) = plan.actions
    assert (action.kind, action.key, action.condition) == ("Delete", Key("u#1", "u"), STORED & condition)
    assert action.item is action.update is None


def test_a_delete_frees_the_unique_values_after_the_item() -> None:
    """The item first, then its guards, on condition of the values they stand for."""
    plan = plan_delete(subject(), known(email="a@x"), EMPTY)
    main, freed = plan.actions
    assert plan.main_action is main
    assert main.key == Key("u#1", "u")
    assert (freed.kind, freed.key, freed.condition) == (
        "Delete",
        guard(1, "email", "a@x"),
        NOT_STORED | OWNED,
    )
    assert main.condition == all_of((STORED, stored("email", {"S": "a@x"}), absent("h")))
    assert plan.constraints == (None, None)


def test_a_replacement_is_a_put_over_the_stored_item_with_the_guards_of_both() -> None:
    """One action for the item, and one for each guard."""
    values = {**BASE, "email": "b@x", "handle": "ann"}
    deletion = plan_delete(subject(), known(email="a@x", handle="ann"), EMPTY)
    creation = plan_create(subject(), values, EMPTY)
    plan = plan_replace(deletion, creation)
    put = plan.main_action
    assert (put.kind, put.key, put.item) == ("Put", creation.main_action.key, creation.main_action.item)
    assert put.condition == deletion.main_action.condition
    guards = [number for number, action in enumerate(plan.actions) if action is not put]
    assert [plan.actions[number].kind for number in guards] == ["Delete", "Put", "Put"]
    assert [plan.releases(number) for number in guards] == [True, False, False]
    assert sorted(str(plan.claim(number)) for number in guards) == [
        "('email', 'b@x')",
        "('handle', 'ann')",
        "None",
    ]


# --- requests --------------------------------------------------------------------------------------


def test_one_action_is_a_single_request() -> None:
    """Put, update and delete become their own operations, with what they return."""
    token = "token"
    operation, parameters = request_for(plan_create(subject(), BASE, EMPTY), "t", SCHEMA, token)
    assert operation == "PutItem"
    assert parameters["TableName"] == "t"
    assert parameters["ConditionExpression"] == "NOT (attribute_exists(#n0))"
    assert parameters["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    assert "ClientRequestToken" not in parameters
    operation, parameters = request_for(plan_update(subject(), {"likes": 1}, None, EMPTY), "t", SCHEMA, token)
    assert (operation, parameters["ReturnValues"]) == ("UpdateItem", "ALL_NEW")
    assert parameters["Key"] == {"_pk": {"S": "u#1"}, "_sk": {"S": "u"}}
    assert parameters["UpdateExpression"] == "SET #n0 = :v0"
    assert parameters["ExpressionAttributeNames"] == {"#n0": "likes", "#n1": "_pk"}
    operation, parameters = request_for(plan_delete(subject(), None, EMPTY), "t", SCHEMA, token)
    assert (operation, parameters["ReturnValues"]) == ("DeleteItem", "ALL_OLD")


def test_an_update_of_nothing_is_still_a_valid_request() -> None:
    """It leaves the item as it is, whether alone or in a transaction."""
    action = updated({})
    parameters = action.parameters("t", SCHEMA)
    assert set(parameters) >= {"TableName", "Key", "ConditionExpression", "UpdateExpression"}
    assert parameters["UpdateExpression"]
    assert action.update is not None
    assert not action.update.set_
    assert not action.update.add
    assert not set(action.update.remove) & {"_pk", "_sk", *SCHEMA.attributes}


def test_several_actions_are_one_transaction_with_a_token() -> None:
    """The members are in order, and each condition's failure brings its item."""
    plan = plan_update(subject(), {"email": "b@x"}, known(email="a@x"), EMPTY)
    operation, parameters = request_for(plan, "t", SCHEMA, "token-1")
    assert operation == "TransactWriteItems"
    assert parameters["ClientRequestToken"] == "token-1"
    assert [next(iter(member)) for member in parameters["TransactItems"]] == ["Delete", "Put", "Update"]
    for member in parameters["TransactItems"]:
        ((_, inside),) = member.items()
        assert inside["TableName"] == "t"
        assert inside["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert "ReturnValues" not in inside


def values_of(text: str) -> Item:
    return {"a": {"S": text}, "b": {"N": "1"}}


@pytest.mark.parametrize("text", ["x", "y"])
@pytest.mark.parametrize("condition", [STORED, NOT_STORED])
@pytest.mark.parametrize(
    "assumed",
    [{}, {"a": {"S": "z"}, "c": None, "d": {"N": "2"}}, {"c": {"S": "z"}, "a": None, "d": {"N": "2"}}],
)
@pytest.mark.parametrize(
    "make_update",
    [
        lambda text: None,
        lambda text: Update(set_=values_of(text)),
        lambda text: Update(set_={"b": {"S": text}}, remove={"a": None, "d": None}),
        lambda text: Update(set_={"d": {"S": text}}, add=values_of(text), delete={"e": {"SS": [text]}}),
    ],
)
def test_an_action_of_a_known_shape_is_rendered_as_any_other(
    make_update: Callable[[str], Update | None], assumed: Assumed, condition: Condition, text: str
) -> None:
    """The expressions of equal shapes are rendered once; an equal condition of a caller renders them anew."""
    action = Action("Update", KEY, condition, None, make_update(text), assumed)
    anew = evolve(action, condition=copy.deepcopy(condition))
    assert action.parameters("t", SCHEMA) == anew.parameters("t", SCHEMA)


def test_a_changed_request_does_not_change_later_ones() -> None:
    """Handlers of botocore's events may change the parameters."""
    first = updated({"likes": 1}).parameters("t", SCHEMA)
    first["ExpressionAttributeNames"].clear()
    assert updated({"likes": 2}).parameters("t", SCHEMA)["ExpressionAttributeNames"]


# --- was it done? ----------------------------------------------------------------------------------

KEY = Key("u#1", "u")
ONE: Any = {"L": [{"N": "1"}]}
TWO: Any = {"L": [{"N": "2"}]}
DOCUMENT: Any = {"d": {"M": {"m": {"S": "x"}, "l": {"L": [*ONE["L"], *TWO["L"], {"N": "3"}]}}}}


@pytest.mark.parametrize(
    ("action", "item", "done"),
    [
        (Action("Delete", KEY), None, True),
        (Action("Delete", KEY), {"a": {"S": "x"}}, False),
        (Action("Put", KEY, item={"a": {"N": "1"}}), {"a": {"N": "1.0"}}, True),
        (Action("Put", KEY, item={"a": {"N": "1"}}), {"a": {"N": "2"}}, False),
        (Action("Put", KEY, item={"a": {"N": "1"}}), {"a": {"N": "1"}, "b": {"S": ""}}, False),
        (Action("Put", KEY, item={"a": {"N": "1"}}), None, False),
        (
            Action("Update", KEY, update=Update(set_={"a": {"S": "x"}})),
            {"a": {"S": "x"}, "b": {"S": ""}},
            True,
        ),
        (Action("Update", KEY, update=Update(set_={"a": {"S": "x"}})), {"a": {"S": "y"}}, False),
        (Action("Update", KEY, update=Update(set_={"a": {"S": "x"}})), None, False),
        (Action("Update", KEY, update=Update(remove={"a": None})), {}, True),
        (Action("Update", KEY, update=Update(remove={"a": None})), {"a": {"S": "x"}}, False),
        (Action("Update", KEY, update=Update(add={"a": {"SS": ["x"]}})), {"a": {"SS": ["x", "y"]}}, True),
        (Action("Update", KEY, update=Update(add={"a": {"SS": ["x"]}})), {"a": {"SS": ["y"]}}, False),
        (Action("Update", KEY, update=Update(add={"a": {"SS": ["x"]}})), {}, False),
        (Action("Update", KEY, update=Update(delete={"a": {"SS": ["x"]}})), {"a": {"SS": ["y"]}}, True),
        (Action("Update", KEY, update=Update(delete={"a": {"SS": ["x"]}})), {}, True),
        (Action("Update", KEY, update=Update(delete={"a": {"SS": ["x"]}})), {"a": {"SS": ["x"]}}, False),
        (Action("Update", KEY, update=Update(add={"a": {"NS": ["1"]}})), {"a": {"NS": ["1.0", "2"]}}, True),
        (Action("Update", KEY, update=Update(add={"a": {"NS": ["1"]}})), {"a": {"NS": ["2"]}}, False),
        (Action("Update", KEY, update=Update(add={"a": {"BS": [b"x"]}})), {"a": {"BS": [b"x"]}}, True),
        (Action("Update", KEY, update=Update(add={"a": {"BS": [b"x"]}})), {"a": {"S": "x"}}, False),
        (Action("Update", KEY, update=Update(delete={"a": {"BS": [b"x"]}})), {"a": {"BS": [b"x"]}}, False),
        # what is added to a number, or only removes an attribute that no item has, leaves no traces
        (Action("Update", KEY, update=Update(add={"a": {"N": "1"}})), {"a": {"N": "1"}}, False),
        (Action("Update", KEY, update=Update(remove={NO_ATTRIBUTE: None})), {"a": {"N": "1"}}, False),
        (Action("ConditionCheck", KEY), None, True),
        (Action("Update", KEY, update=Update(parts=[part(("m",), "set", {"S": "x"})])), DOCUMENT, True),
        (Action("Update", KEY, update=Update(parts=[part(("m",), "set", {"S": "y"})])), DOCUMENT, False),
        (Action("Update", KEY, update=Update(parts=[part(("n",), "remove")])), DOCUMENT, True),
        (Action("Update", KEY, update=Update(parts=[part(("m",), "remove")])), DOCUMENT, False),
        (
            Action("Update", KEY, update=Update(parts=[part(("m",), "if_missing", {"S": "y"})])),
            DOCUMENT,
            True,
        ),
        (
            Action("Update", KEY, update=Update(parts=[part(("n",), "if_missing", {"S": "y"})])),
            DOCUMENT,
            False,
        ),
        (
            Action("Update", KEY, update=Update(parts=[part(("m",), "increment", {"N": "1"})])),
            DOCUMENT,
            False,
        ),
        (
            Action("Update", KEY, update=Update(parts=[part(("l",), "append", TWO, before=ONE)])),
            DOCUMENT,
            True,
        ),
        (
            Action("Update", KEY, update=Update(parts=[part(("l",), "append", ONE, before=ONE)])),
            DOCUMENT,
            False,
        ),
        (Action("Update", KEY, update=Update(parts=[part(("l",), "append", TWO)])), DOCUMENT, False),
    ],
)
def test_what_is_stored_tells_whether_a_lost_write_was_carried_out(
    action: Action, item: Any, done: bool
) -> None:
    """Only if the stored item is what the action leaves behind was it ours."""
    assert action.is_satisfied_by(item) is done


def test_which_actions_can_be_repeated() -> None:
    """All but additions to numbers leave the same when they are carried out twice."""
    assert Action("Put", KEY, item={}).is_idempotent()
    assert Action("Delete", KEY).is_idempotent()
    assert Action("Update", KEY, update=Update(add={"a": {"SS": ["x"]}})).is_idempotent()
    assert not Action("Update", KEY, update=Update(add={"a": {"N": "1"}})).is_idempotent()
    for action in ("set", "remove", "if_missing", "append", "prepend", "increment"):
        changed = Update(parts=[part(("m",), "remove"), part(("l",), action, ONE)])
        assert Action("Update", KEY, update=changed).is_idempotent() is (
            action in ("set", "remove", "if_missing")
        )
    assert Action(
        "Update", KEY, update=Update(parts=[part(("l",), "append", ONE, before=TWO)])
    ).is_idempotent()


def test_what_an_update_must_know() -> None:
    """Unique values, counters, sets and versions need the stored item; other fields do not."""
    assert not needs_known(SCHEMA, ["name", "status"])
    for name in ("email", "handle", "views", "tags"):
        assert needs_known(SCHEMA, ["name", name])
    assert SCHEMA.indexed_names == {"status", "made_at", "name"}

    class Versioned(Model, prefix="v"):
        item_id: str
        name: str
        version: str = VersionField()
        primary_key = PrimaryKey("item_id")

    versioned: Any = Versioned
    assert needs_known(versioned.__bao_schema__, ["name"])


# --- sizes -------------------------------------------------------------------------------------------

LIMIT = 400 * 1024


@pytest.mark.parametrize("unit", ["a", "é", "€", "\U0001f600"])
def test_an_item_may_have_400_kilobytes_and_not_a_byte_more(unit: str) -> None:
    """Names and values count in bytes of UTF-8."""
    width = len(unit.encode())

    def item(size: int) -> Any:
        text = unit * ((size - 1) // width) + "x" * ((size - 1) % width)
        return {"a": {"S": text}}

    for size in (LIMIT - 1, LIMIT):
        assert item_bytes(item(size)) == size
        check_item_size("User", "1", item(size))
    with pytest.raises(ValidationError, match=rf"User '1': the item has {LIMIT + 1} bytes"):
        check_item_size("User", "1", item(LIMIT + 1))


def test_bytes_and_documents_count_too() -> None:
    """Binaries, sets, lists and maps are sized by what is in them, names by their bytes."""
    assert item_bytes({"é": {"B": b"123"}}) == 5
    assert item_bytes({"a": {"SS": ["x", "é"]}}) == 4
    assert item_bytes({"a": {"BOOL": True}}) == item_bytes({"a": {"NULL": True}}) == 2
    for document in ({"L": [{"B": b"x" * LIMIT}]}, {"M": {"a": {"S": "x" * LIMIT}}}, {"BS": [b"x" * LIMIT]}):
        with pytest.raises(ValidationError):
            check_item_size("User", "1", {"a": document})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2),
        ({"B": b"123"}, 3),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "12"}, 2),
        ({"N": "-123"}, 3),
        ({"N": "12300"}, 3),
        ({"N": "12.34"}, 3),
        ({"N": "-0.0012"}, 2),
        ({"N": "1.5e-07"}, 2),
        ({"N": "12E+21"}, 2),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["x", "yz"]}, 3),
        ({"BS": [b"x", b"yz"]}, 3),
        ({"NS": ["1", "123"]}, 5),
        ({"L": []}, 3),
        ({"L": [{"S": "x"}, {"S": "yz"}]}, 8),
        ({"M": {}}, 3),
        ({"M": {"é": {"S": "x"}, "b": {"S": "yz"}}}, 11),
    ],
)
def test_what_values_of_each_kind_take(value: Any, size: int) -> None:
    """As DynamoDB's documentation counts: documents 3 bytes, and 1 for each member, beside what is in them."""
    assert item_bytes({"a": value}) == 1 + size


TEXT = "x" * (LIMIT // 2)


@pytest.mark.parametrize(
    ("before", "update", "fits"),
    [
        ({"a": {"S": TEXT}}, Update(set_={"b": {"S": TEXT}}), False),
        ({"a": {"S": TEXT}}, Update(set_={"a": {"S": TEXT}}), True),
        ({"a": {"S": TEXT}}, Update(set_={"b": {"S": TEXT}}, remove={"a": None}), True),
        ({"a": {"S": TEXT}}, Update(add={"b": {"SS": [TEXT]}}), False),
        ({"a": {"SS": [TEXT]}}, Update(add={"a": {"SS": [TEXT + "y"]}}), False),
        ({"a": {"SS": [TEXT]}}, Update(add={"a": {"SS": [TEXT]}}), True),
        ({"a": {"SS": [TEXT]}}, Update(delete={"a": {"SS": [TEXT]}}, set_={"b": {"S": TEXT}}), True),
        ({"a": {"S": TEXT}}, Update(add={"b": {"N": "1"}}), True),
        ({"a": {"S": TEXT}}, Update(parts=[part(("m",), "set", {"S": TEXT})]), False),
        ({"a": {"S": TEXT}}, Update(parts=[part((), "set", {"S": TEXT})]), False),
        ({"d": {"M": {"m": {"S": TEXT}}}}, Update(parts=[part(("m",), "set", {"S": TEXT})]), True),
        ({"d": {"M": {"m": {"S": TEXT}}}}, Update(parts=[part(("n",), "set", {"S": TEXT})]), False),
        (
            {"d": {"M": {"m": {"S": TEXT}}}},
            Update(parts=[part((), "remove")], set_={"a": {"S": TEXT}}),
            True,
        ),
    ],
)
def test_an_update_may_not_make_an_item_too_large(before: Any, update: Update, fits: bool) -> None:
    """What is stored, what is set, added and put in parts count together; what is taken out does not."""
    if fits:
        check_update_size("User", "1", before, update)
        return
    with pytest.raises(
        ValidationError, match=rf"User '1': the item has \d+ bytes, DynamoDB's limit is {LIMIT}"
    ):
        check_update_size("User", "1", before, update)


def test_set_additions_are_sized_with_the_set_that_was_read() -> None:
    """A member that is stored already is not counted twice."""
    change = {"tags": SetDelta(frozenset({"y" * 210_000}), frozenset())}
    plan_update(subject(), change, known(tags={"x" * 190_000}), EMPTY)
    plan_update(subject(), change, known(tags={"y" * 210_000}), EMPTY)
    with pytest.raises(ValidationError, match="limit is 409600"):
        plan_update(subject(), change, known(tags={"x" * 210_000}), EMPTY)


def test_a_plan_is_a_value() -> None:
    """Plans compare by what they do."""
    delete = Action("Delete", KEY)
    assert WritePlan((delete,)).main_action is delete
    assert WritePlan((delete,)).claim(0) is None
    assert WritePlan((Action("Delete", KEY),)) == WritePlan((Action("Delete", KEY),))
    assert WritePlan((Action("Delete", KEY),)) != WritePlan((Action("Delete", KEY, STORED),))


# --- reads -------------------------------------------------------------------------------------------


class Nowhere:
    """A transport that nothing may be sent through."""

    clock = Clock()

    def send(self, request: Request, *, deadline: float) -> Reply:
        raise AssertionError("planning sends nothing")

    def close(self) -> None:
        """Nothing to give back."""


def database(table: str = "t", transport: Nowhere | None = None) -> Database:
    return Database(table, transport or Nowhere(), AllowDirect())


def wanted(numbers: Any, where: Database, consistent: bool = False) -> list[PendingKeys]:
    return [(where, consistent, {Key(f"u#{number}", "u"): number}, None) for number in numbers]


def asked(planned: PlannedBatch) -> list[tuple[str, Key]]:
    """The tables and keys of a planned request, in order."""
    return [(table, key) for table, keys in planned.batch.keys.items() for key in keys]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (99, [99]),
        (100, [100]),
        (101, [100, 1]),
        (200, [100, 100]),
        (1000, [100] * 10),
    ],
)
@pytest.mark.promise("R7")
def test_the_fewest_requests_for_any_number_of_keys(count: int, sizes: list[int]) -> None:
    """``ceil(n / 100)`` requests, none over 100, no key lost or repeated, in the order of the lookups."""
    plan = plan_reads(wanted(range(count), database()))
    assert [len(planned.batch) for planned in plan] == sizes
    assert [key.pk for planned in plan for _, key in asked(planned)] == [f"u#{n}" for n in range(count)]


def test_a_key_wanted_often_is_read_once() -> None:
    """Equal keys of one table are one, wherever they come from."""
    where = database()
    other_model_same_table = database("t", where.transport)  # type: ignore[arg-type]
    plan = plan_reads([*wanted([1, 2, 1], where), *wanted([2], other_model_same_table)])
    assert [[key.pk for _, key in asked(planned)] for planned in plan] == [["u#1", "u#2"]]


def test_consistent_reads_are_asked_apart_and_win() -> None:
    """A key wanted both ways is read once, consistently; the others stay eventual."""
    where = database()
    plan = plan_reads([*wanted([1, 2], where), *wanted([2, 3], where, True), *wanted([3, 4], where)])
    assert {planned.batch.consistent: [key.pk for _, key in asked(planned)] for planned in plan} == {
        False: ["u#1", "u#4"],
        True: ["u#2", "u#3"],
    }


def test_tables_of_one_client_share_requests_and_clients_do_not() -> None:
    """One request may read from several tables; two clients always need two."""
    transport = Nowhere()
    first, second, elsewhere = database("a", transport), database("b", transport), database("a")
    plan = plan_reads([*wanted([1], first), *wanted([1], second), *wanted([1], elsewhere)])
    assert [planned.transport for planned in plan] == [transport, elsewhere.transport]
    assert [asked(planned) for planned in plan] == [
        [("a", Key("u#1", "u")), ("b", Key("u#1", "u"))],
        [("a", Key("u#1", "u"))],
    ]


@pytest.mark.promise("R7")
def test_holds_per_client_and_consistency() -> None:
    """Each client and each consistency has its own ``ceil(n / 100)``."""
    one, other = database(), database()
    plan = plan_reads(
        [*wanted(range(101), one), *wanted(range(200, 301), one, True), *wanted(range(100), other)]
    )
    assert sorted(len(planned.batch) for planned in plan) == [1, 1, 100, 100, 100]


def test_the_plan_of_reads_is_stable() -> None:
    """The same lookups give the same requests in the same order."""
    where = database()
    lookups = [*wanted(range(150), where), *wanted(range(100, 260), where, True)]
    assert plan_reads(lookups) == plan_reads(lookups)
    assert plan_reads(iter(lookups)) == plan_reads(lookups)
