import CrumbTemplate
import Testing

@Suite struct GoldenTests {
    @Test func `the vectors are all there`() {
        #expect(TemplateVectors.language.count >= 690)
        #expect(TemplateVectors.chats.count >= 600)
        #expect(
            TemplateVectors.groups(TemplateVectors.chats) == [
                "SmolLM2-135M-Instruct", "Qwen2.5-Coder-1.5B-Instruct", "llama2", "llama3", "mistral", "macros",
            ])
    }

    @Test(arguments: TemplateVectors.groups(TemplateVectors.language))
    func `small templates give what jinja2 gives, byte by byte`(group: String) {
        for one in TemplateVectors.language where one.group == group {
            if let difference = one.difference() { Issue.record("\(difference)") }
        }
    }

    @Test(arguments: TemplateVectors.groups(TemplateVectors.chats))
    func `chat templates give what jinja2 gives, byte by byte`(template: String) {
        for one in TemplateVectors.chats where one.group == template {
            if let difference = one.difference() { Issue.record("\(difference)") }
        }
    }
}
