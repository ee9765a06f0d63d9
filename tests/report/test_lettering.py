"""Words of any script: their width in a terminal, and fonts that have them in a figure."""

import warnings

import pytest
from figure_helpers import pixels
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgcls_jax import errors
from imgcls_jax.report import lettering
from imgcls_jax.report.figure import new_figure, save, shorten


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("tennis", 6),
        ("한국", 4),
        ("Zürich", 6),
        ("Zu\u0308rich", 6),
        ("日本 7", 6),
        ("a\u200bb", 2),
    ],
)
def test_width(text, columns):
    assert lettering.width(text) == columns
    assert lettering.width(lettering.pad(text, 9)) == 9


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=20), columns=st.integers(2, 12), keep_end=st.booleans())
@example(text="\U00010a01000", columns=2, keep_end=True)  # a sign without a width of its own
def test_what_is_shortened_fits_and_is_printable(text, columns, keep_end):
    text = errors.printable(text)
    short = lettering.shorten(text, columns, keep_end=keep_end)
    assert short.isprintable()
    assert lettering.width(short) <= columns
    if lettering.width(text) <= columns:
        assert short == text
    else:
        begin, _, end = short.partition("…") if "…" not in text else ("", "", "")
        assert text.startswith(begin)
        assert text.endswith(end)
        assert not (keep_end and begin)


def test_names_that_differ_at_either_end_or_between_still_differ():
    """Of long names the end was lost, which told one breed of terriers from the next."""
    breeds = ["American Staffordshire terrier", "American Staffordshire bull terrier"]
    assert lettering.tell_apart([*breeds, "cat"], 14) == ["…terrier", "…bull terrier", "cat"]
    photos = ["n02085620_dog_of_kind_Chihuahua", "n02085936_dog_of_kind_Maltese_dog"]
    assert len(set(lettering.tell_apart(photos, 12))) == 2
    same = ["a class with an exceedingly long name"] * 2
    assert len(set(lettering.tell_apart(same, 9))) == 1


def test_line_feeds_escape_codes_and_stray_bytes_are_escaped():
    assert errors.printable("a\nb\x1b[31m\udcff 한") == r"a\nb\x1b[31m\udcff 한"


@pytest.fixture
def fonts(monkeypatch):
    """Installs fonts of these names and letters for a test, beside Matplotlib's own."""
    from matplotlib import font_manager

    def install(held: dict[str, str]):
        entries = [font_manager.FontEntry(fname=f"{n}.ttf", name=n, style="normal") for n in held]
        letters = {f"{name}.ttf": frozenset(map(ord, held[name])) for name in held}
        monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
        monkeypatch.setattr(lettering, "_characters", lambda path: letters.get(path, {ord("ü")}))

    monkeypatch.setattr(font_manager, "findfont", lambda *_: "DejaVuSans.ttf")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    lettering._add_new_fonts.cache_clear()
    lettering._font.cache_clear()
    yield install
    lettering._font.cache_clear()
    lettering._add_new_fonts.cache_clear()


def test_the_first_font_that_has_a_letter_is_taken(fonts):
    fonts({"Last Resort": "한", "Latin": "a", "Hangul": "한", "Another": "한"})
    assert lettering.drawable("ü 한") == "ü 한"
    assert lettering.families("ü 한") == ["DejaVu Sans", "Hangul"]


def test_a_letter_without_a_font_becomes_a_box(fonts):
    fonts({"Last Resort": "한"})
    assert lettering.drawable("ü 한\n") == r"ü □\n"
    assert lettering.families("ü") == ["DejaVu Sans"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("cat", "Zürich", "고양이"),
            "the letters 고양이 of class names, so figures show □ for them",
        ),
        (("고양이", "강아지"), "Debian and Ubuntu by apt-get install fonts-noto-cjk"),
        (("犬", "ネコ", "いぬ"), "install fonts-noto-cjk"),
        (("แมว",), "install fonts-noto-core"),
        (("가나다라마바사아자",), "가나다라마바사아… of"),
    ],
)
def test_letters_without_a_font_are_told_with_what_to_install(fonts, names, expected):
    fonts({"Last Resort": "".join(names)})
    assert expected in lettering.lacking(names)
    fonts({"All": "".join(names)})
    lettering._font.cache_clear()
    assert lettering.lacking(names) is None


def test_a_font_installed_after_matplotlib_made_its_list_is_found(fonts, monkeypatch):
    from matplotlib import font_manager

    fonts({"Latin": "a"})
    manager, added = font_manager.fontManager, []

    def add(path):
        added.append(path)
        entry = font_manager.FontEntry(fname=path, name="New", style="normal")
        manager.ttflist.append(entry)

    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["Latin.ttf", "New.ttf"])
    monkeypatch.setattr(manager, "addfont", add)
    monkeypatch.setattr(
        lettering, "_characters", lambda path: {ord("한")} if path == "New.ttf" else ()
    )
    assert lettering.lacking(["한"]) is None
    assert lettering.families("한") == ["DejaVu Sans", "New"]
    assert added == ["New.ttf"]


def test_a_figure_draws_any_name_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = new_figure(3, 1)
        figure.text(0.1, 0.5, shorten("한국 日本 \U0001f600 $5 \n \udcff", 40), parse_math=False)
        drawn = pixels(save(figure, tmp_path / "names.png"))
    assert (drawn < 128).any()
