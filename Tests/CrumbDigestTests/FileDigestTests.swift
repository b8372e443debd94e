import CrumbDigest
import CrumbFormats
import CrumbTestSupport
import Glibc
import Testing

@Suite struct FileDigestTests {
    /// FIPS 180-4's examples, from the NIST example values for SHA-256.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `digests equal the standard's examples, of bytes and of files`(text: String, digest: String) throws {
        #expect(FileDigest.sha256(Array(text.utf8)) == digest)
        let folder = try TemporaryFolder()
        #expect(try FileDigest.sha256(of: try folder.write("f", Array(text.utf8))) == digest)
    }

    @Test func `files larger than the buffer have the digest of their bytes, and a changed byte changes it`() throws {
        let folder = try TemporaryFolder()
        var bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = try folder.write("f", bytes)
        let digest = try FileDigest.sha256(of: path)
        #expect(digest == FileDigest.sha256(bytes))
        bytes[2_500_000] ^= 1
        #expect(digest != FileDigest.sha256(bytes))
    }

    @Test func `a file that cannot be read is refused by name`() throws {
        let missing = try #require(throws: FormatError.self) { _ = try FileDigest.sha256(of: "/nonexistent") }
        #expect(missing.description == "/nonexistent: cannot be opened: No such file or directory.")
        let folder = try TemporaryFolder()
        let pipe = folder.path + "/pipe"
        // Nobody writes to the pipe, so opening it for reading would wait for ever.
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in ["/", pipe] {
            let error = try #require(throws: FormatError.self) { _ = try FileDigest.sha256(of: path) }
            #expect(error.description == "\(path): is not a regular file.")
        }
    }
}
