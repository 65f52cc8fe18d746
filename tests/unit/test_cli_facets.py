import pytest

from services.cli.facets import show_facets
from services.cli.marked import marked_cell, name_cell
from services.cli.paging import found_note
from services.cli.tables import show_results
from vitrina.catalog.v1 import catalog_pb2, facet_pb2
from vitrina.search.v1 import search_pb2

BRAND = facet_pb2.Facet(
    field="brand",
    values=[
        facet_pb2.FacetValue(value="HP", count=1200),
        facet_pb2.FacetValue(value="\x1b[31m[red]" + "x" * 90, count=3),
    ],
    other_count=7,
    missing_count=1,
    kind=facet_pb2.COUNT_KIND_LOWER_BOUND,
)
PRICE = facet_pb2.Facet(
    field="price",
    values=[facet_pb2.FacetValue(value="0-50"), facet_pb2.FacetValue(value="50-", count=3)],
    kind=facet_pb2.COUNT_KIND_EXACT,
)


@pytest.mark.parametrize("width", [40, 160])
def test_every_value_is_counted_at_any_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_facets([BRAND, PRICE, facet_pb2.Facet(field="category")])
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert all(len(line) <= width for line in lines)
    assert "\x1b" not in shown
    text = " ".join(shown.split())
    for part in ("HP ≥1,200", "(others) ≥7", "(none) ≥1", "0-50 0", "50- 3", "no product has"):
        assert part in text
    side_by_side = any("brand" in line and "price" in line for line in lines)
    assert side_by_side == (width == 160)


def test_without_facets_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_facets([])
    assert not capsys.readouterr().out


def marked_parts(safe_html: str) -> tuple[str, list[str]]:
    text = marked_cell(safe_html)
    spans = [
        text.plain[span.start : span.end] for span in text.spans if "underline" in str(span.style)
    ]
    return text.plain, spans


@pytest.mark.parametrize(
    ("safe_html", "plain", "matched"),
    [
        ("<mark>Dell</mark> laptop &amp; <mark>bag</mark>", "Dell laptop & bag", ["Dell", "bag"]),
        ("a &lt;mark&gt;b&lt;/mark&gt;", "a <mark>b</mark>", []),
        ("<mark>&lt;b&gt;</mark>\x1b[31m", "<b>␛[31m", ["<b>"]),
        ("no match [red]", "no match [red]", []),
        ("", "", []),
        ("<mark>open", "<mark>open", []),
    ],
)
def test_what_matched_is_underlined_and_entities_are_signs(
    safe_html: str, plain: str, matched: list[str]
) -> None:
    assert marked_parts(safe_html) == (plain, matched)


def test_the_piece_of_the_description_is_a_line_below_the_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = search_pb2.Result(
        product=catalog_pb2.Product(name="Lamp & Co"),
        highlights=search_pb2.Highlights(
            name="<mark>Lamp</mark> &amp; Co", description="… a warm\n<mark>lamp</mark> …"
        ),
    )
    assert name_cell(result).plain == "Lamp & Co\n… a warm lamp …"
    show_results([result], search_pb2.AnswerInfo(), nothing="")
    _, name, piece, _ = capsys.readouterr().out.splitlines()
    assert "Lamp & Co" in name
    assert piece.strip() == "… a warm lamp …"
    result.ClearField("highlights")
    assert name_cell(result).plain == "Lamp & Co"


@pytest.mark.parametrize(
    ("shown", "total", "kind", "note"),
    [
        (3, 3, facet_pb2.COUNT_KIND_EXACT, "3 results"),
        (0, 0, facet_pb2.COUNT_KIND_EXACT, "0 results"),
        (1, 1, facet_pb2.COUNT_KIND_EXACT, "1 result"),
        (10, 1312, facet_pb2.COUNT_KIND_EXACT, "10 of 1,312 results"),
        (10, 400, facet_pb2.COUNT_KIND_LOWER_BOUND, "10 of at least 400 results"),
        (10, 10, facet_pb2.COUNT_KIND_LOWER_BOUND, "10 of at least 10 results"),
        # An older gateway does not tell.
        (10, 0, facet_pb2.COUNT_KIND_UNSPECIFIED, "10 results"),
    ],
)
def test_how_many_there_are_is_told_as_far_as_it_is_known(
    shown: int, total: int, kind: facet_pb2.CountKind.ValueType, note: str
) -> None:
    response = search_pb2.SearchResponse(
        results=[search_pb2.Result()] * shown, total_size=total, total_size_kind=kind
    )
    assert found_note(response) == note
