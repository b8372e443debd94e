import Glibc

/// A library opened at run time. Never closed: its functions stay in use until the process ends.
package struct SharedLibrary: @unchecked Sendable {  // the handle is only read
    private let handle: UnsafeMutableRawPointer

    /// The first of `names` that can be loaded; nil where none can.
    ///
    /// - Parameter isGlobal: later libraries find this one's functions, as cuBLAS does with cuBLASLt's.
    package init?(firstOf names: [String], isGlobal: Bool = false) {
        let flags = RTLD_NOW | (isGlobal ? RTLD_GLOBAL : RTLD_LOCAL)
        for name in names {
            if let handle = dlopen(name, flags) {
                self.handle = handle
                return
            }
        }
        return nil
    }

    /// The file that a function comes from; nil where that is unknown.
    static func file(of function: UnsafeRawPointer) -> String? {
        // Swift's view of the C library lacks dladdr and its Dl_info: four pointers, the file's name first.
        typealias Ask = @convention(c) (UnsafeRawPointer?, UnsafeMutablePointer<UnsafePointer<CChar>?>?) -> Int32
        guard let address = dlsym(nil, "dladdr") else { return nil }
        var information = [UnsafePointer<CChar>?](repeating: nil, count: 4)
        guard unsafeBitCast(address, to: Ask.self)(function, &information) != 0 else { return nil }
        return information[0].map { String(cString: $0) }
    }

    /// The address of a function.
    package func address(_ name: String) -> UnsafeMutableRawPointer? { dlsym(handle, name) }
}

/// Looks functions up by name, and remembers those that are missing so that one message can name them all.
struct SymbolReader {
    let address: (String) -> UnsafeMutableRawPointer?
    private(set) var missing: [String] = []

    init(_ address: @escaping (String) -> UnsafeMutableRawPointer?) { self.address = address }

    /// The function `name` as a C function pointer of the type asked for. In place of a missing one stands a function
    /// that aborts; whoever reads a table throws it away then.
    mutating func callAsFunction<Function>(_ name: String) -> Function {
        if let address = address(name) { return unsafeBitCast(address, to: Function.self) }
        missing.append(name)
        let placeholder: @convention(c) () -> Void = { abort() }
        return unsafeBitCast(placeholder, to: Function.self)
    }
}
