/// Text from outside, made safe to show on a terminal.
package enum Printable {
    /// One line: control characters, line ends and direction marks stand as `\u{..}`, so that a name in a hostile file
    /// can neither move the cursor nor forge a second line.
    package static func line(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isHarmless(scalar) {
                result.append(scalar)
            } else {
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
            }
        }
        return String(result)
    }

    /// Text of a model on its way to a terminal: line ends and tabs stay, other control characters become U+FFFD.
    package static func text(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let kept = isHarmless(scalar) || scalar == "\n" || scalar == "\t" || isDirectionMark(scalar)
            result.append(kept ? scalar : "\u{FFFD}")
        }
        return String(result)
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate: false
        default: !isDirectionMark(scalar)
        }
    }

    private static func isDirectionMark(_ scalar: Unicode.Scalar) -> Bool {
        (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }
}
