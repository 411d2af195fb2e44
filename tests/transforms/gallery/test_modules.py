"""Modules of the page, joined into one script."""

import shutil
import subprocess

import pytest

from transforms.gallery.modules import ModuleError, join_modules
from transforms.gallery.page import script

ONE = 'export const one = 1;\nexport function two() {\n  return one + 1;\n}\nconst hidden = "one\'s own";\n'


def test_exports_are_handed_over_and_nothing_else():
    joined = join_modules(
        {"one.js": ONE, "main.js": 'import { one, two } from "./one.js";\nshow(one, two());\n'}, "main.js"
    )
    assert joined == (
        '(() => {\n"use strict";\n'
        "const module_one = (() => {\n"
        'const one = 1;\nfunction two() {\n  return one + 1;\n}\nconst hidden = "one\'s own";\n'
        "return Object.freeze({ one, two });\n})();\n\n"
        "const module_main = (() => {\nconst { one, two } = module_one;\nshow(one, two());\n})();\n\n})();\n"
    )


def test_modules_come_after_those_that_they_import():
    sources = {
        "main.js": 'import { b } from "./b.js";\nimport { a } from "./a.js";\n',
        "a.js": 'import { b } from "./b.js";\nexport const a = b;\n',
        "b.js": "export const b = 1;\n",
    }
    joined = join_modules(sources, "main.js")
    assert joined == join_modules(dict(reversed(sources.items())), "main.js")
    places = [joined.index(f"const module_{name} =") for name in ("b", "a", "main")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("export async function load() {}", "load"),
        ("export function* items() {}", "items"),
        ("export class Sheet {}", "Sheet"),
        ("export const $x_1 = 3;", "$x_1"),
    ],
)
def test_forms_of_export(form, name):
    joined = join_modules({"one.js": form + "\n", "main.js": f'import {{ {name} }} from "./one.js";\n'}, "main.js")
    assert f"\n{form.removeprefix('export ')}\nreturn Object.freeze({{ {name} }});" in joined


@pytest.mark.parametrize("names", ["one,two", " one, two ", "\n  one,\n  two,\n"])
def test_imports_over_several_lines(names):
    sources = {"one.js": ONE, "main.js": f'/* First. */\n// Second.\nimport {{{names}}} from "./one.js";\ntwo();\n'}
    assert "const { one, two } = module_one;" in join_modules(sources, "main.js")


@pytest.mark.parametrize(
    "form",
    [
        'import one from "./one.js";',
        'import * as all from "./one.js";',
        'import { one as first } from "./one.js";',
        'import "./one.js";',
        "import { one } from './one.js';",
        'import { one } from "one.js";',
        'import { one } from "../one.js";',
        'import { one } from "https://elsewhere/one.js";',
        ' import { one } from "./one.js";',
        'import { one } from "./one.js"; one();',
        'const later = import("./one.js");',
        "const here = import.meta.url;",
        "export default 1;",
        "export let count = 0;",
        "export var count = 0;",
        "export const { a } = {};",
        "export const a = 1, b = 2;\nexport { b };",
        "export { one };",
        'export * from "./one.js";',
        'export { one } from "./one.js";',
        "  export const a = 1;",
        'show();\nimport { one } from "./one.js";',
        'import { one } from "./one.js";\nimport { two } from "./one.js";',
        'import { three } from "./one.js";',
        'import { hidden } from "./one.js";',
        'import { one } from "./nowhere.js";',
        "const module_one = {};",
    ],
)
def test_other_forms_are_refused(form):
    start = 'import { main } from "./entry.js";\n'
    with pytest.raises(ModuleError, match=r"entry\.js"):
        join_modules({"one.js": ONE, "entry.js": f"{form}\nexport function main() {{}}\n", "main.js": start}, "main.js")


def test_comments_may_speak_of_imports():
    source = '/**\n * import first\n * @import { Run } from "./types"\n */\n/** {import("./x").Y} */\nlet run;'
    assert source.strip() in join_modules({"main.js": source}, "main.js")


def test_circles_are_refused_and_named():
    sources = {
        "main.js": 'import { a } from "./a.js";\n',
        "a.js": 'import { b } from "./b.js";\nexport const a = 1;\n',
        "b.js": 'import { a } from "./a.js";\nexport const b = 1;\n',
    }
    with pytest.raises(ModuleError, match=r"circle: (a\.js -> b\.js -> a\.js|b\.js -> a\.js -> b\.js)"):
        join_modules(sources, "main.js")


def test_modules_that_nothing_imports_are_refused():
    with pytest.raises(ModuleError, match=r"main\.js does not lead to one\.js"):
        join_modules({"main.js": "start();\n", "one.js": ONE}, "main.js")


@pytest.mark.parametrize("name", ["Main.js", "a-b.js", "a.mjs", "../a.js"])
def test_names_of_modules(name):
    with pytest.raises(ModuleError, match="lower case"):
        join_modules({name: ""}, name)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the script with")
def test_a_joined_script_runs_and_leaves_no_name():
    sources = {
        "one.js": ONE,
        "main.js": 'import { one, two } from "./one.js";\nconst hidden = one + two();\nconsole.log(hidden);\n',
    }
    code = join_modules(sources, "main.js") + "console.log(typeof one, typeof hidden, typeof module_one);\n"
    ran = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "3\nundefined undefined undefined\n"


def test_the_page_has_every_module_once():
    assert script().count("\nconst module_") == script().count("= (() => {\n") > 10
    assert not [line for line in script().splitlines() if line.startswith(("import ", "export "))]
