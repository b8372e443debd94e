extension Unicode.Scalar {
    /// What Python's `str.isspace` takes for whitespace.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    var isNameStart: Bool {
        value < 0x80
            ? self == "_" || (value | 0x20 >= 0x61 && value | 0x20 <= 0x7A)
            : properties.isXIDStart
    }

    var isNameContinue: Bool {
        value < 0x80 ? isNameStart || (0x30...0x39).contains(value) : properties.isXIDContinue
    }

    var isAlphabetic: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    var isDecimal: Bool { properties.numericType == .decimal }

    var isPythonDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }

    var isNumeric: Bool { properties.numericType != nil }

    var isAlphanumeric: Bool { isAlphabetic || isNumeric }

    var isTitlecase: Bool { properties.generalCategory == .titlecaseLetter }

    /// What Python's `str.isprintable` accepts, and `repr` writes as it is.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: self == " "
        default: true
        }
    }

    /// Ends a line for `str.splitlines`.
    var isLineBreak: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}

extension Text {
    func uppercased() -> Text {
        if isASCII { return Text(bytes.map { $0 >= 0x61 && $0 <= 0x7A ? $0 - 0x20 : $0 }) }
        var result = ""
        for scalar in scalars { result += scalar.properties.uppercaseMapping }
        return Text(result)
    }

    func lowercased() -> Text {
        if isASCII { return Text(bytes.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 0x20 : $0 }) }
        let scalars = Array(self.scalars)
        var result = ""
        for index in scalars.indices { result += Text.lowercase(scalars, at: index) }
        return Text(result)
    }

    /// Lower case of one character; a capital sigma at the end of a word becomes the final form.
    private static func lowercase(_ scalars: [Unicode.Scalar], at index: Int) -> String {
        guard scalars[index].value == 0x3A3 else { return scalars[index].properties.lowercaseMapping }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        let isFinal = before?.properties.isCased == true && after?.properties.isCased != true
        return isFinal ? "\u{3C2}" : "\u{3C3}"
    }

    /// First character in title case, the others in lower case.
    func capitalized() -> Text {
        let scalars = Array(self.scalars)
        var result = scalars.first?.properties.titlecaseMapping ?? ""
        for index in scalars.indices.dropFirst() { result += Text.lowercase(scalars, at: index) }
        return Text(result)
    }

    /// `str.title`: every run of letters starts in title case.
    func titlecased() -> Text {
        let scalars = Array(self.scalars)
        var result = ""
        var insideWord = false
        for (index, scalar) in scalars.enumerated() {
            result += insideWord ? Text.lowercase(scalars, at: index) : scalar.properties.titlecaseMapping
            insideWord = scalar.properties.isCased
        }
        return Text(result)
    }

    /// `str.casefold`: the lower case of the upper case tells apart what full case folding does; only the dotless i,
    /// which has no lower case of its own to return to, folds to itself.
    func casefolded() -> Text {
        if isASCII { return lowercased() }
        var result = ""
        for scalar in scalars {
            if scalar.value == 0x131 {
                result.unicodeScalars.append(scalar)
                continue
            }
            for upper in Text(scalar.properties.lowercaseMapping).uppercased().scalars {
                result += upper.properties.lowercaseMapping
            }
        }
        return Text(result)
    }

    func swappedCase() -> Text {
        let scalars = Array(self.scalars)
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            if scalar.properties.isUppercase {
                result += Text.lowercase(scalars, at: index)
            } else {
                result += scalar.properties.isLowercase ? scalar.properties.uppercaseMapping : String(scalar)
            }
        }
        return Text(result)
    }

    /// At least one cased character, and all of those lower (or upper) case.
    func isCase(lower: Bool) -> Bool {
        var found = false
        for scalar in scalars {
            let wrong = lower ? scalar.properties.isUppercase : scalar.properties.isLowercase
            if wrong || scalar.isTitlecase { return false }
            if lower ? scalar.properties.isLowercase : scalar.properties.isUppercase { found = true }
        }
        return found
    }

    var isTitle: Bool {
        var found = false
        var insideWord = false
        for scalar in scalars {
            if scalar.properties.isUppercase || scalar.isTitlecase {
                if insideWord { return false }
                insideWord = true
                found = true
            } else if scalar.properties.isLowercase {
                if !insideWord { return false }
            } else {
                insideWord = false
            }
        }
        return found
    }

    func all(_ test: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && scalars.allSatisfy(test) }
}
