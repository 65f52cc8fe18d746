"""The oracle of the fault suite finds what is wrong: each rule broken once, by hand."""

from collections.abc import Sequence

import pytest

from faults.clients import Call
from faults.history import History, Write
from faults.oracle import Answer, Oracle, check_writes
from faults.outages import RECOVERY_SECONDS, Outages
from faults.products import product_of
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

SEED = 5
P = "writer-0/0"
# Versions of this seed that searches may return.
FIRST, SECOND, THIRD = [n for n in range(1, 30) if product_of(SEED, P, n).active][:3]


class World:
    """A history told step by step; time stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        self.history = History(SEED)
        self.oracle = Oracle(self.history)

    def tried(self, version: int | None) -> Write:
        self.now += 1
        write = Write("writer-0", P, version, self.now)
        self.history.begin(write)
        return write

    def happens(self, version: int | None) -> int:
        """Add a change to the feed."""
        self.now += 1
        revision = self.history.head + 1
        change = catalog_pb2.Change(revision=revision, product_id=P)
        change.kind = catalog_pb2.CHANGE_KIND_DELETE
        if version is not None:
            change.kind = catalog_pb2.CHANGE_KIND_UPSERT
            change.product.CopyFrom(self.shown(version, revision))
        self.history.see(change, "feed")
        return revision

    def written(self, version: int | None) -> int:
        write = self.tried(version)
        revision = self.happens(version)
        self.history.acknowledge(write, revision)
        return revision

    def shown(self, version: int, revision: int) -> catalog_pb2.Product:
        product = catalog_pb2.Product()
        product.CopyFrom(product_of(SEED, P, version))
        product.revision = revision
        return product

    def answered(
        self,
        revision: int,
        *products: catalog_pb2.Product,
        min_revision: int = 0,
        is_whole: bool = False,
        labels: Sequence["pb.Degradation.ValueType"] = (),
        passes: bool = True,
    ) -> None:
        self.now += 1
        info = pb.AnswerInfo(revision=revision, degraded=labels, provenance=pb.PROVENANCE_COMPUTED)
        self.oracle.take(
            Answer(
                "a search",
                "gateway-1",
                self.now,
                self.now,
                min_revision,
                products,
                info,
                lambda _: passes,
                is_whole,
            )
        )

    def broken(self) -> list[str]:
        """Return the rules that are broken, now that a later write tells what was known."""
        write = Write("writer-1", "writer-1/0", 1, self.now + 1)
        self.now += 2
        self.history.begin(write)
        revision = self.history.head + 1
        product = product_of(SEED, "writer-1/0", 1)
        change = catalog_pb2.Change(
            revision=revision,
            product_id=product.id,
            kind=catalog_pb2.CHANGE_KIND_UPSERT,
        )
        self.history.see(change, "feed")
        self.history.acknowledge(write, revision)
        self.oracle.check_what_can_be()
        assert not self.oracle.waiting
        check_writes(self.history)
        return [violation.rule for violation in self.history.violations]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_right_answer_is_right(world: World) -> None:
    first = world.written(FIRST)
    world.answered(first, world.shown(FIRST, first), is_whole=True, min_revision=first)
    assert world.broken() == []


def test_an_answer_below_its_min_revision_is_found(world: World) -> None:
    first = world.written(FIRST)
    world.answered(first, world.shown(FIRST, first), min_revision=first + 1)
    assert world.broken() == ["min_revision"]


def test_an_answer_older_than_what_was_promised_is_found(world: World) -> None:
    first, second = world.written(FIRST), world.written(SECOND)
    world.history.promise(second)
    world.answered(first, world.shown(SECOND, second))
    assert world.broken() == ["found when said so"]


def test_an_answer_older_than_it_claims_is_found(world: World) -> None:
    first, second = world.written(FIRST), world.written(SECOND)
    world.answered(second, world.shown(FIRST, first))
    assert world.broken() == ["no older than it claims"]


def test_a_removed_product_that_is_shown_is_found(world: World) -> None:
    first, removed = world.written(FIRST), world.written(None)
    world.answered(removed, world.shown(FIRST, first))
    assert world.broken() == ["no older than it claims"]


def test_a_missing_product_is_found_where_all_must_be_there(world: World) -> None:
    world.answered(world.written(FIRST), is_whole=True)
    assert world.broken() == ["no older than it claims"]


def test_a_product_that_was_changed_meanwhile_may_be_missing(world: World) -> None:
    first = world.written(FIRST)
    write = world.tried(None)
    world.answered(first, is_whole=True)
    world.history.acknowledge(write, world.happens(None))
    assert world.broken() == []


def test_an_old_answer_without_a_label_is_found_and_with_one_it_is_right(world: World) -> None:
    first = world.written(FIRST)
    world.written(SECOND)
    world.now += 60
    world.answered(first, world.shown(FIRST, first), labels=[pb.DEGRADATION_UNVERIFIED_CACHE])
    world.answered(first, world.shown(FIRST, first))
    assert world.broken() == ["no older than its labels allow"]


def test_a_result_that_does_not_pass_is_found(world: World) -> None:
    first = world.written(FIRST)
    world.answered(first, world.shown(FIRST, first), passes=False)
    assert world.broken() == ["results pass"]


def test_a_product_that_nobody_wrote_is_found(world: World) -> None:
    first = world.written(FIRST)
    torn = world.shown(FIRST, first)
    torn.price = product_of(SEED, P, SECOND).price
    world.answered(first, torn)
    assert world.broken() == ["nothing invented"]


def test_a_revision_that_holds_two_versions_is_found(world: World) -> None:
    world.tried(SECOND)
    first = world.written(FIRST)
    world.answered(first, world.shown(SECOND, first))
    assert world.broken() == ["one history"]


def test_a_write_that_is_gone_is_found(world: World) -> None:
    world.written(FIRST)
    write = world.tried(SECOND)
    world.history.acknowledge(write, world.history.head + 5)
    assert world.broken() == ["no acknowledged write lost"]


def test_a_removal_that_did_not_happen_is_found(world: World) -> None:
    world.written(FIRST)
    world.history.acknowledge(world.tried(None), 1)
    assert world.broken() == ["no acknowledged write lost"]


def test_a_write_that_happens_again_after_a_later_one_is_found(world: World) -> None:
    world.written(FIRST)
    world.written(SECOND)
    world.happens(FIRST)
    assert world.broken() == ["nothing undone"]


def test_a_write_that_was_never_acknowledged_may_happen_or_not(world: World) -> None:
    world.written(FIRST)
    world.tried(SECOND).failures.append("gateway-1 UNAVAILABLE")
    write = world.tried(THIRD)
    write.failures.append("gateway-1 UNAVAILABLE")
    world.happens(THIRD)
    assert world.broken() == []


def test_a_gap_in_the_feed_is_found(world: World) -> None:
    world.written(FIRST)
    skipped = catalog_pb2.Change(revision=3, product_id=P)
    world.history.see(skipped, "feed")
    assert [violation.rule for violation in world.history.violations] == ["gapless feed"]


def test_a_feed_that_tells_another_history_is_found(world: World) -> None:
    world.written(FIRST)
    other = catalog_pb2.Change(revision=1, product_id=P, kind=catalog_pb2.CHANGE_KIND_DELETE)
    world.history.see(other, "feed of another gateway")
    assert world.broken() == ["one history"]


@pytest.mark.parametrize(
    ("hurt", "status", "after_seconds", "is_excused"),
    [
        ("catalog", "UNAVAILABLE", 0.5, True),
        ("catalog", "UNAVAILABLE", RECOVERY_SECONDS + 3, False),
        ("catalog", "INTERNAL", 0.5, False),
        ("gateway-1>catalog", "DEADLINE_EXCEEDED", 0.5, True),
        ("gateway-2>catalog", "UNAVAILABLE", 0.5, False),
        ("index", "UNAVAILABLE", 0.5, False),
        ("embedder", "UNAVAILABLE", 0.5, False),
        ("redis", "UNAVAILABLE", 0.5, False),
    ],
)
def test_only_what_a_search_cannot_do_without_excuses_its_failure(
    hurt: str, status: str, after_seconds: float, is_excused: bool
) -> None:
    outages = Outages()
    outages.begin(hurt, "kill", 10.0).ended = 11.0
    at = 10.0 + after_seconds
    call = Call("search", "gateway-1", at, at + 0.1, status=status)
    assert bool(outages.excuse_of(call)) == is_excused
