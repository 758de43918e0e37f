"""User code in which all checkers must find fault with every line that is marked, and with no other."""

from __future__ import annotations

from fastapi import FastAPI

from dynamo_bao import IntegerField, StringField
from dynamo_bao.asgi import BatchContextMiddleware
from dynamo_bao.flask import Bao
from tests.typing.right import Post, Slug, User, ada, work

User(nam="Ada", email="x")  # wrong
User.create(nam="Ada", email="x")  # wrong
User(name=3, email="x")  # wrong
User.create(name=3, email="x")  # wrong
User(name="Ada")  # wrong, but not for ty
User.create(name="Ada")  # wrong, but not for ty
ada.nam  # wrong
ada.name.nothing  # wrong
User.find("x").nam  # wrong
User.by_status.query("x").frist()  # wrong
User.delete(Post(user_id="x", slug="y"))  # wrong
ada.delete("x", "y", "z")  # wrong
work("three")  # wrong
User.find("x", consistent=True, bypass_cache="no")  # wrong
ada.to_json().nam  # wrong
ada.posts = []  # wrong
ada.posts[0].slugg  # wrong
for child in ada.posts:
    child.slugg  # wrong
    child.user.nam  # wrong
ada.posts.where(limits=3)  # wrong, but not for ty
ada.posts.where({}, limit="3")  # wrong
ada.post  # wrong
ada.nmae = "Grace"  # wrong
ada.name = 3  # wrong
ada.posts[0].user = ada.posts[0]  # wrong
User(name="Ada", email="x", posts=[])  # wrong
StringField(max_lenth=80)  # wrong, but not for ty
StringField(max_length="80")  # wrong, but not for ty
IntegerField(requird=True)  # wrong, but not for ty
Slug(shot=True)  # wrong, but not for ty
Bao(deadlin=5)  # wrong, but not for ty
FastAPI().add_middleware(BatchContextMiddleware, server_timings=True)  # wrong, but not for ty
Bao.get_or_404(User, "x").nam  # wrong
User(name="Ada", email="x").save()
