import CrumbJSON
import CrumbTemplate
import Testing

@Suite struct ErrorTests {
    @Test(arguments: [
        ("a\nb {{ 1 + }}", "chat template, line 2: '}}' stands where an expression is expected"),
        (
            "\n\n{% if x %}\n",
            "chat template, line 3: the template ends before 'elif' or 'else' or 'endif' of the block in line 3"
        ),
        (
            "{% for a in b %}\n{% endif %}",
            "chat template, line 2: the tag 'endif' is unknown, 'endfor' or 'else' is expected"
        ),
        ("{{ 'a\\x1g' }}", "chat template, line 1: the escape '\\x' in a string needs 2 hex digits"),
        ("{{ 'a\\ud800' }}", "chat template, line 1: a string holds the code point 55296, which is no character"),
        ("{{ 99999999999999999999 }}", "chat template, line 1: the integer 99999999999999999999 does not fit 64 bits"),
        ("x\n{{ x|nosuch }}", "chat template, line 2: there is no filter named 'nosuch'"),
        ("{% set none = 1 %}", "chat template, line 1: 'none' is a constant and cannot be assigned to"),
        ("{% break %}", "chat template, line 1: 'break' stands outside of a loop"),
    ])
    func `what cannot be read is named with its line`(source: String, description: String) {
        let error = #expect(throws: TemplateError.self) { try ChatTemplate(source: source) }
        #expect(error?.description == description)
        #expect(error?.kind == .syntax)
    }

    @Test(arguments: ["include 'a'", "import 'a' as b", "from 'a' import b", "extends 'a'", "block a"])
    func `tags that need other templates are refused`(tag: String) {
        let error = #expect(throws: TemplateError.self) { try ChatTemplate(source: "{% \(tag) %}") }
        #expect(error?.message.hasSuffix("needs other templates, which a chat template does not have") == true)
    }

    @Test(arguments: [
        ("a\n{{ x.y }}", "chat template, line 2: 'x' is undefined, so its attribute 'y' cannot be read"),
        (
            "{{ d.x.y }}",
            "chat template, line 1: a dictionary has no attribute 'x', so its attribute 'y' cannot be read"
        ),
        ("{{ d.a + 'b' }}", "chat template, line 1: '+' cannot take an integer and a string"),
        ("{{ 1 +\n x }}", "chat template, line 1: 'x' is undefined, so '+' cannot use it"),
        (
            "{{ d.pop('a') }}",
            "chat template, line 1: 'pop' would change a dictionary, which a template cannot, so it cannot be called"
        ),
        (
            "{{ l.append(1) }}",
            "chat template, line 1: 'append' would change a list, which a template cannot, so it cannot be called"
        ),
        (
            "{{ d.__class__() }}",
            "chat template, line 1: the attribute '__class__' is out of a template's reach, so it cannot be called"
        ),
        ("{% macro m(a) %}{% endmacro %}\n{{ m(b=1) }}", "chat template, line 2: the macro 'm' has no parameter 'b'"),
        (
            "{{ 9223372036854775807 + 1 }}",
            "chat template, line 1: the result of '+' does not fit an integer of 64 bits"
        ),
        ("{{ 1 / 0 }}", "chat template, line 1: a number is divided by 0"),
        ("{{ strftime_now('%d') }}", "chat template, line 1: 'strftime_now' is undefined, so it cannot be called"),
        ("{{ lipsum() }}", "chat template, line 1: 'lipsum' is undefined, so it cannot be called"),
    ])
    func `what cannot be rendered is named with its line`(source: String, description: String) {
        let error = #expect(throws: TemplateError.self) {
            try ChatTemplate(source: source).render(["d": ["a": 1], "l": [1]])
        }
        #expect(error?.description == description)
        #expect(error?.kind == .evaluation)
    }

    @Test func `what the template raises is told apart`() {
        let error = #expect(throws: TemplateError.self) {
            try ChatTemplate(source: "\n{{ raise_exception('no system messages') }}").render([:])
        }
        #expect(error?.kind == .raised)
        #expect(error?.message == "no system messages")
        #expect(error?.description == "the chat template refuses this conversation at line 2: no system messages")
    }

    @Test func `an unknown code of strftime_now is refused`() {
        let error = #expect(throws: TemplateError.self) {
            try ChatTemplate(source: "{{ strftime_now('%Q') }}").render([:], date: 0)
        }
        #expect(error?.message == "strftime_now() does not know the code '%Q'")
    }
}
