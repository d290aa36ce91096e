"""Accounts behind a balancer: each keeps to one replica, and begins again only with a new one."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from healthimaging_emulator import RemoteAccount, UnreachableError
from tests.demo import DATASTORE, SAMPLE

from .balancers import Balancer, Replica, replicas

ACCOUNTS = 1_000 if float(os.environ.get("SOAK", "0")) >= 60 else 60
SESSION = boto3.Session()
OPTIONS: dict[str, Any] = {"region_name": "us-east-1", "aws_secret_access_key": "emulator"}
NUMBERS = itertools.count(100_000_000_000).__next__
"""Account ids: each test has its own, since all share the replicas."""
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


class User:
    """An account as its owner sees it, who asks the service with boto3 and the control API through a balancer."""

    def __init__(self, balancer: Balancer, id: str) -> None:
        self.id = id
        self.control = RemoteAccount(balancer.url, id)
        endpoint = balancer.url.replace("//", "//emulator@")
        self.service = SESSION.client(
            "medical-imaging", endpoint_url=endpoint, aws_access_key_id=id, config=ONE_ATTEMPT, **OPTIONS
        )
        self.arn = f"arn:aws:medical-imaging:us-east-1:{id}:datastore/{DATASTORE}"
        self.date = 1_600_000_000.0 + int(id) % 1_000_000
        self.generation, self.sent = "", 0

    def change(self) -> None:
        """Change all that an account has: its store, its faults, its clock and its journal."""
        self.generation = self.control.generation
        self.sent += 1
        self.service.tag_resource(resourceArn=self.arn, tags={"of": self.id})
        error = {"code": self.id, "status": 400}
        self.control.faults.add({"id": self.id, "match": {"operation": "GetImageSet"}, "error": error})
        self.control.clock.freeze(self.date)

    def check(self) -> None:
        """Check that the account has its own changes, and no other's."""
        assert self.control.generation == self.generation
        assert self.tags() == {"of": self.id}
        with pytest.raises(ClientError) as raised:
            self.service.get_image_set(datastoreId=DATASTORE, imageSetId=SAMPLE)
        assert raised.value.response["Error"]["Code"] == self.id
        self.sent += 1
        assert [fault.id for fault in self.control.faults] == [self.id]
        assert self.control.clock.now() == self.date
        self.check_calls()

    def check_fresh(self) -> None:
        """Check that the account has begun again with the seed, and is told so."""
        assert self.control.generation != self.generation
        self.sent = 0
        assert (self.tags(), list(self.control.faults), self.control.clock.is_frozen) == ({}, [], False)
        self.check_calls()

    def check_lost(self) -> None:
        """Check that no other replica answers."""
        with pytest.raises(UnreachableError):
            _ = self.control.generation
        with pytest.raises(ClientError) as raised:
            self.tags()
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

    def tags(self) -> dict[str, str]:
        self.sent += 1
        return dict(self.service.list_tags_for_resource(resourceArn=self.arn)["tags"])

    def check_calls(self) -> None:
        calls = self.control.calls
        assert len(calls) == self.sent
        assert all(self.id in call.path for call in calls if call.operation != "GetImageSet")


@pytest.fixture(scope="module")
def fleet() -> Iterator[list[Replica]]:
    with replicas(9) as started:
        yield started


def each(users: list[User], act: Callable[[User], None]) -> None:
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(act, users))


def without(users: list[User], some: list[User]) -> list[User]:
    return [user for user in users if user not in some]


@pytest.mark.parametrize("count", [3, 8])
def test_an_account_has_the_state_of_its_own_replica_only(balancer: Balancer, fleet: list[Replica], count: int) -> None:
    balancer.start([replica.address for replica in fleet[:count]])
    users = [User(balancer, f"{NUMBERS()}") for _ in range(ACCOUNTS)]
    each(users, User.change)
    each(users, User.check)

    homes = Counter(user.generation for user in users)
    lost = max(fleet[:count], key=lambda replica: homes[replica.generation])
    strays = [user for user in users if user.generation == lost.generation]
    assert 0 < len(strays) < ACCOUNTS
    lost.kill()
    each(strays, User.check_lost)
    each(without(users, strays), User.check)
    lost.restart()
    each(strays, User.check_fresh)
    each(without(users, strays), User.check)

    each(strays, User.change)
    balancer.start([replica.address for replica in fleet[: count + 1]])
    moved = [user for user in users if user.control.generation == fleet[count].generation]
    assert len(moved) < ACCOUNTS / 2
    each(moved, User.check_fresh)
    each(without(users, moved), User.check)
