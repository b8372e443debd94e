import CrumbJSON
import CrumbTemplate
import Testing

/// Templates that would take all memory, time or stack if they were let.
@Suite struct LimitTests {
    @Test(arguments: [
        "(": ")", "[": "]", "-": "", "not ": "", "{1:": "}", "a.b(": ")", "a|default(": ")", "1 if 0 else ": "",
        "a[": "]",
    ])
    func `expressions nested too deep are refused when read`(open: String, close: String) {
        let source =
            "{{ " + String(repeating: open, count: 20_000) + "1" + String(repeating: close, count: 20_000) + " }}"
        expectLimit(source)
    }

    @Test(arguments: [
        "{% if 1 %}": "{% endif %}", "{% for i in [1] %}": "{% endfor %}", "{% set a %}": "{% endset %}",
        "{% macro m() %}": "{% endmacro %}", "{% filter upper %}": "{% endfilter %}", "{% with %}": "{% endwith %}",
        "{% call m() %}": "{% endcall %}", "{% generation %}": "{% endgeneration %}",
    ])
    func `statements nested too deep are refused when read`(open: String, close: String) {
        expectLimit(String(repeating: open, count: 20_000) + String(repeating: close, count: 20_000))
    }

    @Test func `nesting up to the limit is read and rendered`() throws {
        let source = "{{ " + String(repeating: "(", count: 98) + "1" + String(repeating: ")", count: 98) + " }}"
        #expect(try ChatTemplate(source: source).render([:]) == "1")
    }

    @Test(arguments: ["1+", "1 ~ ", "1 and ", "'' or ", "1 == "])
    func `long chains of operators take no depth`(link: String) throws {
        _ = try ChatTemplate(source: "{{ " + String(repeating: link, count: 50_000) + "1 }}").render([:])
    }

    @Test(arguments: ["|upper", ".x", "['x']"])
    func `long chains behind a value take no depth`(link: String) throws {
        let template = try ChatTemplate(
            source: "{% if 0 %}{{ x" + String(repeating: link, count: 50_000) + " }}{% endif %}")
        #expect(try template.render([:]) == "")
    }

    @Test func `a source beyond the limit is refused with both sizes`() {
        let error = #expect(throws: TemplateError.self) {
            try ChatTemplate(source: String(repeating: "x", count: 10_000_000))
        }
        #expect(error?.message == "the template has 10000000 bytes, more than the 1048576 allowed")
    }

    @Test(arguments: [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(x=m()) %}{{ x }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{% for i in [1] if m(1) %}{% endfor %}{% endmacro %}{{ m(1) }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}" + String(repeating: "{% if 1 %}", count: 90) + "{{ m() }}"
            + String(repeating: "{% endif %}", count: 90) + "{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ " + String(repeating: "[", count: 90) + "m()" + String(repeating: "]", count: 90)
            + " }}{% endmacro %}{{ m() }}",
    ])
    func `endless recursion ends`(source: String) { expectLimit(source) }

    @Test(arguments: [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{{ [1]|slice(10**12)|list }}",
        "{{ range(10**12) }}", "{{ range(-9223372036854775807, 9223372036854775807) }}",
    ])
    func `endless work ends`(source: String) { expectLimit(source) }

    @Test(arguments: [
        "{{ 'a' * 10**9 }}", "{{ 'a' * 10**18 }}", "{{ [0] * 10**9 }}", "{{ (0,) * 10**18 }}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(1000) %}aaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endfor %}",
        "{% set s = 'a' * 10**6 %}{{ s.replace('', s) }}", "{% set s = 'a' * 10**6 %}{{ s|replace('a', s) }}",
        "{% set s = 'a' * 10**6 %}{{ s.join(s) }}", "{% set s = 'a' * 10**6 %}{{ s|join(s) }}",
        "{% set s = 'a' * 10**6 ~ 'b' %}{% for i in range(100000) %}{{ s.find('b') }}{% endfor %}",
        "{% set s = 'a' * 10**6 %}{% for i in range(100000) %}{{ s[i] }}{% endfor %}",
        "{{ 'a'.ljust(10**12) }}", "{{ 'a'.center(10**12) }}", "{{ 'a'|center(10**12) }}", "{{ '1'.zfill(10**12) }}",
        "{{ 'a\\tb'.expandtabs(10**12) }}", "{{ 'a\\nb'|indent(10**12) }}", "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10**12, 1) }}", "{{ '%.100000000d' % 1 }}", "{{ '{:>99999999999}'.format(1) }}",
        "{{ '{:0999999999,}'.format(1) }}", "{{ [1]|batch(10**12, 1)|list }}", "{{ [1]|tojson(indent=10**12) }}",
    ])
    func `values beyond the limits are refused before they are made`(source: String) { expectLimit(source) }

    @Test(arguments: [
        "'%.1000000000f' % 1", "'{:.99999999f}'.format(1)", "'{:.99999999%}'.format(1)", "'%9999999999999999999d' % 1",
    ])
    func `absurd numbers of digits are refused`(expression: String) {
        #expect(throws: TemplateError.self) { try ChatTemplate(source: "{{ \(expression) }}").render([:]) }
    }

    /// Values that share their parts look exponentially large when written out or compared.
    @Test(arguments: ["{{ a.s }}", "{{ a.s == b.s }}", "{{ {a.s: 1} }}", "{{ a.s|tojson }}", "{{ a.s < b.s }}"])
    func `shared parts are paid for as often as they appear`(use: String) {
        expectLimit(
            """
            {% set a = namespace(s=(1,)) %}{% set b = namespace(s=(1,)) %}{% for i in range(60) %}\
            {% set a.s = (a.s, a.s) %}{% set b.s = (b.s, b.s) %}{% endfor %}\(use)
            """)
    }

    @Test(arguments: [
        "[ns.v]", "(ns.v,)", "{1: ns.v}", "[1]|map('default', ns.v)", "ns.v|map('string')", "joiner(ns.v)",
        "cycler(ns.v)",
        "{1: ns.v}.items()", "dict(a=ns.v)", "[ns.v]|batch(1)",
    ])
    func `values nested too deep are refused`(expression: String) {
        expectLimit(
            "{% set ns = namespace(v=[1]) %}{% for i in range(100000) %}{% set ns.v = \(expression) %}{% endfor %}")
    }

    @Test(arguments: ["ns", "[ns]", "{'a': ns}", "namespace(a=ns)"])
    func `a namespace inside itself is printed no deeper than allowed`(expression: String) {
        expectLimit("{% set ns = namespace() %}{% set ns.v = \(expression) %}{{ ns }}")
    }

    /// Long chains of objects that hold one another must not be released by recursion.
    @Test(arguments: [
        "{% macro w(f) %}{% set ns.v = namespace(v=f) %}{% endmacro %}",
        "{% macro w(f) %}{% macro g() %}{{ f }}{% endmacro %}{% set ns.v = g %}{% endmacro %}",
        "{% macro w(f) %}{% call v() %}{{ f }}{% endcall %}{% endmacro %}"
            + "{% macro v() %}{% set ns.v = caller %}{% endmacro %}",
        "{% macro w(f) %}{% for x in [1] if 1 %}{% set ns.v = loop %}{% endfor %}{% endmacro %}",
        "{% macro w(f) %}{% for x in [1] recursive %}{% set ns.v = loop %}{% endfor %}{% endmacro %}",
    ])
    func `long chains of values are released safely`(macro: String) throws {
        let source = "{% set ns = namespace(v=1) %}\(macro){% for i in range(100000) %}{{ w(ns.v) }}{% endfor %}end"
        #expect(try ChatTemplate(source: source).render([:]) == "end")
    }

    @Test func `each limit is the caller's to set`() throws {
        var limits = TemplateLimits()
        limits.outputBytes = 10
        #expect(try ChatTemplate(source: "0123456789", limits: limits).render([:]) == "0123456789")
        #expect(throws: TemplateError.self) { try ChatTemplate(source: "0123456789x", limits: limits).render([:]) }
        limits = TemplateLimits()
        limits.steps = 50
        #expect(throws: TemplateError.self) {
            try ChatTemplate(source: "{% for i in range(100) %}{% endfor %}", limits: limits).render([:])
        }
        limits = TemplateLimits()
        limits.valueDepth = 3
        let nested: JSONObject = ["a": [[[[1]]]]]
        #expect(throws: TemplateError.self) { try ChatTemplate(source: "{{ a }}", limits: limits).render(nested) }
        #expect(try ChatTemplate(source: "{{ a }}").render(nested) == "[[[[1]]]]")
    }

    private func expectLimit(_ source: String, _ location: SourceLocation = #_sourceLocation) {
        var limits = TemplateLimits()
        limits.sourceBytes = 4 << 20
        limits.steps = 1_500_000
        limits.workBytes = 64 << 20
        let error = #expect(throws: TemplateError.self, sourceLocation: location) {
            try ChatTemplate(source: source, limits: limits).render([:])
        }
        #expect(error?.kind == .limit, "\(source.prefix(80)): \(error?.description ?? "")", sourceLocation: location)
    }
}
