#!/usr/bin/env python3
"""Makes Tests/Vectors/template/*.json: templates, contexts and what Python's jinja2 renders from them.

jinja2 is set up by Hugging Face transformers itself. Needs the PyPI packages transformers, jinja2 and gguf, and
for the templates of real models their GGUF files:

    python3 Scripts/vectors/template.py SmolLM2-135M-Instruct.Q4_1.gguf Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf
"""

import datetime
import json
import os
import sys

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "template"))
import language  # noqa: E402
import chats  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "Tests", "Vectors", "template")


def render(source, context, date=None):
    """{"expected": text}, or {"raised": message} for raise_exception, or {"fails": true} for any other error."""
    try:
        template = _compile_jinja_template(source)
        if date is None:
            template.environment.globals.pop("strftime_now", None)
        else:
            moment = datetime.datetime.fromtimestamp(date, datetime.timezone.utc)
            template.environment.globals["strftime_now"] = moment.strftime
        text = template.render(**json.loads(json.dumps(context)))
        text.encode("utf-8")
        return {"expected": text}
    except jinja2.exceptions.TemplateError as error:
        if type(error) is jinja2.exceptions.TemplateError:
            return {"raised": str(error)}
        return {"fails": True}
    except Exception:
        return {"fails": True}


def write(name, content):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")


def language_cases():
    cases = []
    for group, entries in language.CASES.items():
        for entry in entries:
            source, context, date = entry if isinstance(entry, tuple) else (entry, None, None)
            case = {"group": group, "template": source}
            if context is not None:
                case["context"] = context
            if date is not None:
                case["date"] = date
            case.update(render(source, language.CONTEXT if context is None else context, date))
            cases.append(case)
    return {"context": language.CONTEXT, "cases": cases}


def chat_cases(paths):
    templates = {}
    for path in paths:
        from gguf import GGUFReader

        name = os.path.basename(path).split(".Q")[0]
        templates[name] = GGUFReader(path).fields["tokenizer.chat_template"].contents()
    for name in ("llama2", "llama3", "mistral", "macros"):
        with open(os.path.join(HERE, "template", name + ".jinja"), encoding="utf-8") as file:
            templates[name] = file.read()
    cases = []
    for name, source in templates.items():
        for case in chats.cases(name):
            result = render(source, chats.context(case), case.get("date"))
            cases.append({"template": name, **case, **result})
    return {
        "templates": templates,
        "conversations": chats.CONVERSATIONS,
        "tools": chats.TOOLS,
        "tokens": chats.TOKENS,
        "cases": cases,
    }


if __name__ == "__main__":
    language_file = language_cases()
    write("language.json", language_file)
    chat_file = chat_cases(sys.argv[1:])
    write("chats.json", chat_file)
    for name, file in (("language", language_file), ("chats", chat_file)):
        failing = sum("expected" not in case for case in file["cases"])
        print(f"{name}: {len(file['cases'])} cases, {failing} of them failing ones")
