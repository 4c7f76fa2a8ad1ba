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


def test_the_page_has_every_module_and_no_name_twice():
    script = one_script(PAGE, "main.js")
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE), "a way of importing that the page does not use"
    for file in PAGE.iterdir():
        if file.name.endswith(".js"):
            assert file.read_text(encoding="utf-8").split("\n", 1)[0] in script, f"{file.name} is not part of the page"
    names = re.findall(r"^(?:const|let|class|function) (\w+)", script, re.MULTILINE)
    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)
