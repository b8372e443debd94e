/// The methods of strings, lists, tuples and dictionaries that templates know, by their Python names.
enum Method: String, Sendable {
    // Strings.
    case capitalize, casefold, center, endswith, expandtabs, find, format, isalnum, isalpha, isascii, isdecimal
    case isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper, join, ljust, lower
    case lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit, rstrip
    case split, splitlines, startswith, strip, swapcase, title, upper, zfill
    // Strings, lists and tuples.
    case count, index
    // Dictionaries.
    case get, items, keys, values
    // Lists and dictionaries.
    case copy
    // Loops and cyclers.
    case cycle, changed, next, reset
    // What would change a value.
    case append, clear, extend, insert, pop, popitem, remove, reverse, setdefault, sort, update

    func exists(on value: Value) -> Bool {
        switch self {
        case .count, .index:
            switch value {
            case .text, .list, .tuple, .range: true
            default: false
            }
        case .get, .items, .keys, .values:
            if case .dictionary = value { true } else { false }
        case .copy:
            switch value {
            case .list, .dictionary: true
            default: false
            }
        case .cycle, .changed:
            if case .loop = value { true } else { false }
        case .next, .reset:
            if case .cycler = value { true } else { false }
        case .append, .clear, .extend, .insert, .pop, .popitem, .remove, .reverse, .setdefault, .sort, .update: false
        default:
            if case .text = value { true } else { false }
        }
    }

    /// Methods that Python has but that would change the value.
    func isRefused(on value: Value) -> Bool {
        switch (self, value) {
        case (.clear, .list), (.clear, .dictionary), (.pop, .list), (.pop, .dictionary): true
        case (.append, .list), (.extend, .list), (.insert, .list), (.remove, .list): true
        case (.reverse, .list), (.sort, .list): true
        case (.popitem, .dictionary), (.setdefault, .dictionary), (.update, .dictionary): true
        default: false
        }
    }
}
