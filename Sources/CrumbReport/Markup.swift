/// An element of an SVG picture or an HTML page. Text and attributes are escaped when it is written, so names out of
/// model files may stand anywhere in it.
package struct Markup: Sendable {
    /// What an element contains.
    package enum Node: Sendable {
        case element(Markup)
        case text(String)
        /// A style sheet of our own, which must not be escaped.
        case style(StaticString)
    }

    private let name: String
    private let attributes: [(name: String, value: String)]
    private var children: [Node]

    /// An element with attributes in this order, and children.
    package init(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ children: [Markup] = []) {
        self.name = name
        self.attributes = attributes.map { ($0.key, $0.value) }
        self.children = children.map(Node.element)
    }

    /// An element that contains text.
    package init(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], text: String) {
        self.init(name, attributes)
        children = [.text(text)]
    }

    /// A `style` element.
    package init(style: StaticString) {
        self.init("style")
        children = [.style(style)]
    }

    /// Adds a child at the end.
    package mutating func append(_ child: Markup) { children.append(.element(child)) }

    /// Adds text at the end.
    package mutating func append(text: String) { children.append(.text(text)) }

    /// The element as it stands in a file.
    package func rendered() -> String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Elements that HTML never closes, and those of SVG that have no content. All others need an end tag, for an HTML
    /// parser reads `<td/>` as a start.
    private static let empty: Set<String> = [
        "br", "hr", "meta", "path", "rect", "line", "circle", "polyline",
    ]

    private func write(to text: inout String) {
        text += "<" + name
        for attribute in attributes {
            text += " \(attribute.name)=\"\(Self.escaped(attribute.value))\""
        }
        if Self.empty.contains(name), children.isEmpty {
            text += "/>"
            return
        }
        text += ">"
        for child in children {
            switch child {
            case .element(let element): element.write(to: &text)
            case .text(let words): text += Self.escaped(words)
            case .style(let rules): text += rules.description
            }
        }
        text += "</\(name)>"
    }

    /// The text with the characters escaped that mean something in XML, and U+FFFD for those that must not stand there.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\t", "\n", "\r": result.unicodeScalars.append(scalar)
            default:
                let forbidden =
                    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE
                result.unicodeScalars.append(forbidden ? "\u{FFFD}" : scalar)
            }
        }
        return result
    }
}

/// A coordinate in a picture: at most two decimals, no zeros at the end.
func coordinate(_ value: Double) -> String {
    var text = Figures.decimal(value, places: 2)
    if text.contains(".") {
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
    }
    return text
}
