"""The usual response models of an application, by pydantic, for the shared models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FromAttributes(BaseModel):
    """Reads the attributes of an instance."""

    model_config = ConfigDict(from_attributes=True)


class OrgOut(FromAttributes):
    name: str


class UserOut(FromAttributes):
    user_id: str
    name: str


class MemberOut(UserOut):
    org: OrgOut | None


class PostOut(FromAttributes):
    title: str
    tags: set[str]
    user: MemberOut
