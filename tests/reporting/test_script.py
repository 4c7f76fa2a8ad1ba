"""The page's modules as one script."""

import re
from importlib import resources

import pytest

from untrimmed.reporting.script import one_script

PAGE = resources.files("untrimmed.reporting").joinpath("page")


def write(folder, **modules):
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_a_module_stands_once_and_after_what_it_imports(tmp_path):
    write(
        tmp_path,
        main='import { b } from "./b.js";\nimport {\n  a,\n  c,\n} from "./a.js";\n\nb(a, c);\n',
        b='import { a } from "./a.js";\n\nexport function b() {\n  return a;\n}\n',
        a="export const a = 1;\nexport const c = 2;\n",
    )
    assert one_script(tmp_path, "main.js") == (
        '"use strict";\n{\nconst a = 1;\nconst c = 2;\n\n\nfunction b() {\n  return a;\n}\n\n\nb(a, c);\n}\n'
    )


def test_a_circle_is_refused(tmp_path):
    write(tmp_path, a='import { b } from "./b.js";\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        one_script(tmp_path, "a.js")


@pytest.mark.parametrize("entry", ["main.js", "review.js"])
def test_the_page_has_no_name_twice(entry):
    script = one_script(PAGE, entry)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE), "a way of importing that the page does not use"
    names = re.findall(r"^(?:const|let|class|(?:async )?function) (\w+)", script, re.MULTILINE)
    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)


def test_every_module_is_part_of_a_page():
    scripts = [one_script(PAGE, entry) for entry in ("main.js", "review.js")]
    for file in PAGE.iterdir():
        if file.name.endswith(".js"):
            first = file.read_text(encoding="utf-8").split("\n", 1)[0]
            assert any(first in script for script in scripts), f"{file.name} is not part of a page"
    assert "laidOver" not in scripts[0], "a page that is only looked at does not carry the editing"
