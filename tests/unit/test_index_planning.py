"""Which batches are made of which changes."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.index.documents import DocumentTemplate, text_hash
from services.index.model import Change, ChangeKind, Product
from services.index.planning import Plan, Planner

REMOVED = "removed"
SUPERSEDED = "superseded"
TUNING = "tuning"


class Stored:
    """The text hashes of what was applied."""

    def __init__(self) -> None:
        self.hashes: dict[str, bytes] = {}

    async def text_hashes(self, product_ids: Sequence[str]) -> Mapping[str, bytes]:
        return {id_: self.hashes[id_] for id_ in product_ids if id_ in self.hashes}

    def apply(self, plan: Plan) -> None:
        for columns, _ in plan.documents:
            self.hashes[columns.product_id] = columns.text_hash
        for id_ in plan.removed:
            self.hashes.pop(id_, None)


def change(revision: int, id_: str, what: str) -> Change:
    if what == REMOVED:
        return Change(revision, ChangeKind.REMOVAL, id_)
    if what == SUPERSEDED:
        return Change(revision, ChangeKind.UPSERT, id_)
    if what == TUNING:
        return Change(revision, ChangeKind.TUNING)
    named = Product(
        id=id_, name=what, description="", category="", brand="", price_e4=None, stock=None,
        attributes={}, is_active=True, revision=revision,
    )  # fmt: skip
    return Change(revision, ChangeKind.UPSERT, id_, named)


def planner(stored: Stored, applied_revision: int = 0) -> Planner:
    return Planner(DocumentTemplate("${name}"), stored.text_hashes, applied_revision)


async def test_only_the_last_change_of_a_product_counts() -> None:
    plan = await planner(Stored()).plan(
        [
            change(1, "a", "first"),
            change(2, "b", "first"),
            change(3, "a", REMOVED),
            change(4, "b", "second"),
            change(5, "c", REMOVED),
            change(6, "c", "back"),
        ],
        head_revision=6,
        catalog_id="x",
    )
    assert [(columns.product_id, text) for columns, text in plan.documents] == [
        ("b", "second"),
        ("c", "back"),
    ]
    assert plan.removed == ["a"]
    assert (plan.position, plan.revision, plan.is_at_head) == (6, 6, True)


async def test_changes_that_were_planned_already_are_passed_over() -> None:
    planning = planner(Stored(), applied_revision=5)
    plan = await planning.plan([change(5, "a", "old"), change(6, "b", "new")], 6, "x")
    assert [columns.product_id for columns, _ in plan.documents] == ["b"]


async def test_a_superseded_change_holds_the_revision_back_until_its_successor() -> None:
    planning = planner(Stored())
    first = await planning.plan([change(1, "a", "x"), change(2, "b", SUPERSEDED)], 9, "x")
    assert (first.position, first.revision) == (2, 1)
    second = await planning.plan([change(3, "c", SUPERSEDED), change(4, "b", "y")], 9, "x")
    assert (second.position, second.revision) == (4, 2)
    third = await planning.plan([change(5, "c", REMOVED)], 5, "x")
    assert (third.position, third.revision, third.is_at_head) == (5, 5, True)


async def test_a_removal_before_a_superseded_change_is_applied() -> None:
    plan = await planner(Stored()).plan(
        [change(1, "a", REMOVED), change(2, "a", SUPERSEDED)], 9, "x"
    )
    assert (plan.removed, plan.revision) == (["a"], 1)


async def test_tuning_moves_the_revision_on_and_nothing_else() -> None:
    planning = planner(Stored())
    first = await planning.plan(
        [change(1, "", TUNING), change(2, "a", "x"), change(3, "", TUNING), change(4, "", TUNING)],
        head_revision=4,
        catalog_id="x",
    )
    assert [columns.product_id for columns, _ in first.documents] == ["a"]
    assert (first.removed, first.revision, first.is_at_head) == ([], 4, True)
    second = await planning.plan([change(5, "", TUNING), change(6, "", TUNING)], 6, "x")
    assert (second.documents, second.retained, second.removed) == ([], [], [])
    assert (second.position, second.revision, second.is_at_head) == (6, 6, True)


async def test_tuning_does_not_end_the_wait_for_a_superseded_change() -> None:
    planning = planner(Stored())
    first = await planning.plan([change(1, "a", SUPERSEDED), change(2, "", TUNING)], 3, "x")
    assert (first.position, first.revision, first.is_at_head) == (2, 0, False)
    second = await planning.plan([change(3, "a", "x")], 3, "x")
    assert (second.revision, second.is_at_head) == (3, True)


async def test_no_changes_at_the_head_make_a_plan_that_says_so() -> None:
    plan = await planner(Stored(), applied_revision=7).plan([], 7, "x")
    assert (plan.revision, plan.is_at_head, plan.documents) == (7, True, [])


async def test_a_text_that_is_planned_is_not_asked_of_the_collection() -> None:
    stored = Stored()
    stored.hashes["a"] = text_hash("A")
    planning = planner(stored)
    await planning.plan([change(1, "a", "B")], 9, "x")
    back = await planning.plan([change(2, "a", "A")], 9, "x")
    assert [text for _, text in back.documents] == ["A"]
    again = await planning.plan([change(3, "a", "A")], 9, "x")
    assert [columns.product_id for columns in again.retained] == ["a"]


operations = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["x", "y", REMOVED, TUNING]),
        st.booleans(),  # whether a batch ends here
        st.booleans(),  # whether the oldest plan is applied then
    ),
    max_size=30,
)


@given(operations)
async def test_whatever_is_in_flight_each_text_is_embedded_when_it_must_be(
    steps: list[tuple[str, str, bool, bool]],
) -> None:
    """Retained only if, once all earlier plans are applied, the collection has that text."""
    stored, oracle = Stored(), Stored()
    planning = planner(stored)
    waiting: list[Change] = []
    plans: list[Plan] = []
    for revision, (id_, what, ends, applies) in enumerate(steps, start=1):
        waiting.append(change(revision, id_, what))
        if ends:
            plan = await planning.plan(waiting, revision, "x")
            waiting = []
            assert (plan.position, plan.revision, plan.is_at_head) == (revision, revision, True)
            for columns in plan.retained:
                assert oracle.hashes[columns.product_id] == columns.text_hash
            for columns, _ in plan.documents:
                assert oracle.hashes.get(columns.product_id) != columns.text_hash
            oracle.apply(plan)
            plans.append(plan)
        if applies and plans:
            stored.apply(plans[0])
            planning.applied(plans.pop(0))
