"""The models of `models.yaml` written by hand: what a Python service declares to share their table."""

from __future__ import annotations

from datetime import datetime

from dynamo_bao import (
    MODEL_PREFIX,
    BinaryField,
    BooleanField,
    CounterField,
    CreateDateField,
    DateTimeField,
    FloatField,
    Index,
    IntegerField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UniqueConstraint,
    VersionField,
)


class Shared(Model, key_format="dynamo-bao", attribute_style="camel"):
    """What all of them have in common."""


class Team(Shared, prefix="tm"):
    team_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("team_id")


class Member(Shared, prefix="m", iterable=True, iteration_buckets=1):
    member_id: str = UlidField(auto_assign=True)
    team_id: str | None = RelatedField("Team", default=None)
    name: str = StringField()
    email: str = StringField()
    badge: int | None = IntegerField(default=None)
    role: str | None = StringField(default="sailor")
    status: str | None = StringField(default="active")
    trips: int = CounterField()
    joined_at: datetime = CreateDateField()
    changed_at: datetime = ModifiedDateField()

    primary_key = PrimaryKey("member_id")
    members_for_team = Index("team_id", "member_id", id="gsi1")
    by_role = Index("role", "status", id="gsi2")
    by_status = Index("status", "joined_at", id="gsi3")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_badge = UniqueConstraint("badge", id="uc2")


class Boat(Shared, prefix="b", iterable=True):
    boat_id: str = StringField()
    owner_id: str | None = RelatedField("Member", default=None)
    name: str | None = StringField(default=None)
    crew: int | None = IntegerField(default=None)
    berths: int = IntegerField(default=4)
    weight: float | None = FloatField(default=None)
    length: float | None = FloatField(precision=2, default=None)
    fast: bool | None = BooleanField(default=None)
    racing: bool = BooleanField(default=False)
    photo: bytes | None = BinaryField(default=None)
    flags: set[str] = StringSetField(max_string_length=40, max_member_count=20)
    miles: int = CounterField()
    repairs: int = CounterField(default=10)
    hull_ulid: str = UlidField(auto_assign=True)
    launched_at: datetime | None = DateTimeField(default=None)
    registered_at: datetime = CreateDateField()
    changed_at: datetime = ModifiedDateField()
    version: str = VersionField()
    ttl: datetime | None = TtlField(default=None)

    primary_key = PrimaryKey("boat_id")


class LogEntry(Shared, prefix="le", iterable=True, iteration_buckets=7):
    boat_id: str = RelatedField("Boat")
    entry_id: str = UlidField(auto_assign=True)
    text: str = StringField()
    version: str = VersionField()

    primary_key = PrimaryKey("boat_id", "entry_id")
    entries_for_boat = primary_key


class Reading(Shared, prefix="r", iterable=True, iteration_buckets=100):
    sensor: int = IntegerField()
    taken_at: datetime = DateTimeField()
    depth: float | None = FloatField(default=None)

    primary_key = PrimaryKey("sensor", "taken_at")
    readings_for_sensor = primary_key


class Skill(Shared, prefix="sk"):
    skill_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("skill_id")


class MemberSkill(Shared, prefix="ms", table_type="mapping"):
    skill_id: str = RelatedField("Skill")
    member_id: str = RelatedField("Member")
    learned_at: datetime = CreateDateField()

    primary_key = PrimaryKey("skill_id", "member_id")
    members_for_skill = primary_key
    skills_for_member = Index("member_id", "skill_id", id="gsi1")
    latest_skills_for_member = Index("member_id", "learned_at", id="gsi2")


class Notice(Shared, prefix="n"):
    notice_id: str = UlidField(auto_assign=True)
    title: str = StringField()
    text: str | None = StringField(default=None)

    primary_key = PrimaryKey("notice_id")
    all_notices = Index(MODEL_PREFIX, "notice_id", id="gsi1")
    by_title = Index("title", MODEL_PREFIX, id="gsi2")


class Setting(Shared, prefix="st", iterable=True, iteration_buckets=1):
    code: str = StringField()
    value: str | None = StringField(default=None)

    primary_key = PrimaryKey(MODEL_PREFIX, "code")


class Sample(Shared, prefix="sa"):
    sample_id: str = StringField()
    clean: bool = BooleanField()
    grains: int = IntegerField()
    depth: float = FloatField()
    place: str = StringField()
    taken_at: datetime = DateTimeField()
    boat_id: str = RelatedField("Boat")
    views: int = CounterField()
    batch_ulid: str = UlidField()
    version: str = VersionField()
    ttl: datetime | None = TtlField(default=None)

    primary_key = PrimaryKey("sample_id")
    by_clean = Index("clean", "grains", id="gsi1")
    by_depth = Index("depth", "boat_id", id="gsi2")
    by_place = Index("place", "taken_at", id="gsi3")
    by_batch = Index("batch_ulid", "views", id="gsi4")
    by_version = Index("version", "ttl", id="gsi5")


ALL = [Team, Member, Boat, LogEntry, Reading, Skill, MemberSkill, Notice, Setting, Sample]
