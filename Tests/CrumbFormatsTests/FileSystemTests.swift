import CrumbFormats
import CrumbTestSupport
import Glibc
import Testing

@Suite struct FileSystemTests {
    @Test func `a folder is listed in the order of its names' bytes, hidden entries too`() throws {
        let folder = try TemporaryFolder()
        for name in ["b", "B", ".hidden", "a\u{301}", "\u{e1}", "b2"] { try folder.write(name, []) }
        #expect(mkdir("\(folder.path)/below", 0o700) == 0)
        // Letters that look alike but differ in bytes are names of two files.
        #expect(
            try FileSystem.names(in: folder.path).map { Array($0.utf8) }
                == [".hidden", "B", "a\u{301}", "b", "b2", "below", "\u{e1}"].map { Array($0.utf8) })
        let error = try #require(throws: FormatError.self) { _ = try FileSystem.names(in: "/nonexistent") }
        #expect(error.description == "/nonexistent: cannot be listed: No such file or directory.")
    }

    @Test func `the size of a file is that of what a link leads to`() throws {
        let folder = try TemporaryFolder()
        try folder.write("file", [UInt8](repeating: 7, count: 1234))
        folder.link("link", to: "file")
        #expect(try FileSystem.size(of: "\(folder.path)/file") == 1234)
        #expect(try FileSystem.size(of: "\(folder.path)/link") == 1234)
        let error = try #require(throws: FormatError.self) { _ = try FileSystem.size(of: "/nonexistent") }
        #expect(error.description == "/nonexistent: cannot be examined: No such file or directory.")
    }

    @Test func `neither reading nor mapping waits for a pipe that nobody writes to`() throws {
        let folder = try TemporaryFolder()
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let reading = try #require(throws: FormatError.self) { _ = try FileSystem.read(pipe, limit: 10) }
        let mapping = try #require(throws: FormatError.self) { _ = try MappedFile(path: pipe) }
        #expect(reading.description == "\(pipe): is not a regular file.")
        #expect(mapping == reading)
    }
}
