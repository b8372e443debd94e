"""Conversations for the chat templates: contexts as Hugging Face transformers hands them over."""

SYSTEM = {"role": "system", "content": "Answer briefly."}
USER = {"role": "user", "content": "Why is the sky blue?"}
ANSWER = {"role": "assistant", "content": "Rayleigh scattering."}
MORE = {"role": "user", "content": "And at dusk?"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a place.\nMetric units.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City & country, e.g. \"Zürich, CH\""},
                "days": {"type": ["integer", "null"], "minimum": 1, "default": 1.0},
                "unit": {"enum": ["c", "f"]},
                "points": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"x": {"type": "number"}, "y": {}}, "required": ["x"]},
                },
            },
            "required": ["place"],
        },
    },
}
PLAIN = {
    "type": "function",
    "function": {"name": "now", "description": "Time <of> day's \\ end", "parameters": {"type": "object", "properties": {}}},
}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "abcdef123",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"place": "Zürich", "days": 2, "exact": True, "x": None}},
        }
    ],
}
CALL_WITH_TEXT = {**CALL, "content": "Let me look."}
TWO_CALLS = {**CALL, "content": "", "tool_calls": CALL["tool_calls"] * 2}
FLAT_CALL = {"role": "assistant", "content": "", "tool_calls": [{"name": "now", "arguments": {}, "id": "abcdef124"}]}
RESULT = {"role": "tool", "content": "{\"temperature\": 21.5, \"sky\": \"☀️\"}", "tool_call_id": "abcdef123", "name": "get_weather"}
RESULT_OBJECT = {**RESULT, "content": {"content": {"temperature": -1e-07, "big": 1e22}}}

CONVERSATIONS = {
    "no messages": [],
    "one question": [USER],
    "system and question": [SYSTEM, USER],
    "system alone": [SYSTEM],
    "two rounds": [USER, ANSWER, MORE],
    "system and two rounds": [SYSTEM, USER, ANSWER, MORE],
    "ends with the answer": [SYSTEM, USER, ANSWER],
    "assistant first": [ANSWER, USER],
    "two questions in a row": [USER, MORE],
    "late system message": [USER, ANSWER, SYSTEM, MORE],
    "unknown role": [USER, {"role": "critic", "content": "Hm."}],
    "empty strings": [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
    "whitespace": [{"role": "user", "content": "  \n\tpadded\u00a0 \n"}, {"role": "assistant", "content": "\n\n x \n"}, MORE],
    "unicode": [
        {"role": "system", "content": "Sprich Deutsch: äöüß ẞ"},
        {"role": "user", "content": "日本語 \u0065\u0301 é 👩‍👩‍👧 \u200d\ufeff ‮rtl‬ \u0000\u0001\u007f"},
        {"role": "assistant", "content": "مرحبا ǅ ﬁ"},
    ],
    "markup and templates inside": [{"role": "user", "content": "{{ 7*7 }} {% raw %} <|im_end|> </s> & <b>\"'\\n"}],
    "long": [{"role": "user", "content": "word " * 100}, {"role": "assistant", "content": "x" * 300}, MORE],
    "missing content": [{"role": "user"}],
    "content none": [{"role": "user", "content": None}],
    "content parts": [{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image"}]}],
    "thinking": [
        USER,
        {"role": "assistant", "content": "<think>\nlight\n</think>\n\nScattering."},
        MORE,
        {"role": "assistant", "content": "<think>\nlow sun\n</think>\n\nRed."},
    ],
    "tool call": [SYSTEM, USER, CALL],
    "tool call and result": [USER, CALL, RESULT],
    "tool call, result, answer": [SYSTEM, USER, CALL, RESULT, ANSWER, MORE],
    "tool call with text": [USER, CALL_WITH_TEXT, RESULT],
    "two tool calls": [USER, TWO_CALLS, RESULT, RESULT, ANSWER],
    "flat tool call": [USER, FLAT_CALL],
    "result object": [USER, CALL, RESULT_OBJECT],
    "built-in call": [
        USER,
        {
            "role": "assistant",
            "tool_calls": [{"function": {"name": "brave_search", "arguments": {"query": "sky", "lang": "de"}}}],
        },
        {"role": "ipython", "content": {"a": [1, None]}},
    ],
    "result without id": [USER, CALL, {"role": "tool", "content": "1"}],
}


TOOLS = [WEATHER, PLAIN]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def context(case):
    """The variables of a case: those of Hugging Face transformers, then the ones of its own."""
    variables = {
        "messages": CONVERSATIONS[case["conversation"]],
        "tools": TOOLS if case["tools"] else None,
        "documents": None,
        "add_generation_prompt": case["prompt"],
        **TOKENS,
        **case.get("extra", {}),
    }
    for name in case.get("without", []):
        del variables[name]
    return variables


def cases(template):
    """Cases for a template: a conversation, with or without tools and generation prompt, and what else there is."""
    for conversation in CONVERSATIONS:
        for tools in (False, True):
            for prompt in (False, True):
                few = conversation in ("long", "unicode", "whitespace", "unknown role", "assistant first")
                if not (few and tools != prompt):
                    yield {"conversation": conversation, "tools": tools, "prompt": prompt}
    base = {"conversation": "tool call and result", "tools": True, "prompt": True}
    yield {**base, "without": ["bos_token", "eos_token"]}
    yield {**base, "without": ["messages"]}
    yield {**base, "conversation": "one question", "without": ["tools", "documents", "add_generation_prompt"]}
    if template == "llama3":
        yield {**base, "date": 1735689599}
        yield {**base, "date": 0, "extra": {"date_string": "01 Jan 2025"}}
        yield {**base, "extra": {"tools_in_user_message": False}}
        yield {**base, "extra": {"builtin_tools": ["brave_search", "code_interpreter"]}}
        yield {**base, "conversation": "built-in call", "extra": {"builtin_tools": ["brave_search"]}}
        yield {**base, "extra": {"custom_tools": [PLAIN]}}
