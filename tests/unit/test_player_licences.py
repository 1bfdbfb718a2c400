"""What tags say of licences, and what people read."""

from __future__ import annotations

import pytest

from ui.page.licences import CC, Licence, licence


@pytest.mark.parametrize(
    ("stated", "name", "url"),
    [
        ("", "", ""),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0", f"{CC}/publicdomain/zero/1.0/"),
        ("CC0", "CC0 1.0", f"{CC}/publicdomain/zero/1.0/"),
        ("CC0 1.0 Universal", "CC0 1.0", f"{CC}/publicdomain/zero/1.0/"),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/us/", "CC BY-NC-SA 3.0 US", f"{CC}/licenses/by-nc-sa/3.0/us/"),
        ("2009 Ana. Licensed to the public under http://creativecommons.org/licenses/by/4.0/ verify at x.example", "CC BY 4.0",
         f"{CC}/licenses/by/4.0/"),
        ("CC BY 4.0", "CC BY 4.0", f"{CC}/licenses/by/4.0/"),
        ("cc-by-nc-nd-4.0", "CC BY-NC-ND 4.0", f"{CC}/licenses/by-nc-nd/4.0/"),
        ("Creative Commons BY-SA", "CC BY-SA", ""),
        ("http://creativecommons.org/licenses/publicdomain/", "Public domain", f"{CC}/publicdomain/mark/1.0/"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "Public domain", f"{CC}/publicdomain/mark/1.0/"),
        ("Free Art License: http://artlibre.org/licence/lal/en", "Free Art License", "http://artlibre.org/licence/lal/en"),
        ("https://example.org/licence", "example.org", "https://example.org/licence"),
        ("All rights reserved", "All rights reserved", ""),
        ("javascript:alert(1)", "javascript:alert(1)", ""),
        ("x" * 100, "x" * 59 + "…", ""),
    ],
)  # fmt: skip
def test_a_licence_is_called_by_its_name(stated: str, name: str, url: str) -> None:
    assert licence(stated) == Licence(name, url)
