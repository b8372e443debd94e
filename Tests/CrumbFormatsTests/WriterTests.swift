import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbTestSupport
import Testing

private func layout(_ name: String, _ type: StorageType, _ shape: [Int]) throws -> TensorLayout {
    try #require(TensorLayout(name: name, type: type, shape: shape))
}

private func filled(_ layout: TensorLayout, _ seed: UInt64) -> TensorView {
    var random = SeededGenerator(seed: seed)
    let buffer = HeapBuffer(byteCount: layout.byteCount)
    for index in 0..<layout.byteCount { buffer.mutableBytes[index] = UInt8.random(in: .min ... .max, using: &random) }
    return buffer.tensor(layout.name, layout.type, layout.shape)
}

@Suite struct WriterTests {
    @Test func `what is written is read back, in pieces or whole, and starts at a multiple of 64 bytes`() throws {
        let folder = try TemporaryFolder()
        let layouts = [
            try layout("a", .f16, [3, 5]), try layout("empty", .f32, [0, 4]), try layout("b.codes", .u8, [7, 100]),
            try layout("scalar", .i64, []), try layout("c \"quoted\" \\", .bf16, [2]),
        ]
        let tensors = layouts.enumerated().map { filled($1, UInt64($0)) }
        let path = "\(folder.path)/model.safetensors"
        let writer = try SafetensorsWriter(path: path, tensors: layouts, metadata: [("format", "pt"), ("by", "test")])
        try writer.append(tensors[0])
        for start in stride(from: 0, to: 700, by: 64) {
            try writer.append(UnsafeRawBufferPointer(rebasing: tensors[2].bytes[start..<min(start + 64, 700)]))
        }
        #expect(folder.names == ["model.safetensors.part"])
        try writer.append(tensors[3])
        try writer.append(tensors[4])
        try writer.finish()
        #expect(folder.names == ["model.safetensors"])
        #expect(try folder.read("model.safetensors").count == writer.fileBytes)
        let read = try SafetensorsFile(path: path)
        #expect(read.header.metadata == ["format": "pt", "by": "test"])
        #expect(Set(read.header.tensors.map(\.layout.name)) == Set(layouts.map(\.name)))
        #expect(read.header.tensors[0].offset % 64 == 0)
        for tensor in tensors {
            let again = try read.tensor(tensor.name)
            #expect(again.type == tensor.type && again.shape == tensor.shape)
            #expect(Array(again.bytes) == Array(tensor.bytes))
        }
    }

    @Test func `a writer that is dropped or discarded leaves nothing behind`() throws {
        let folder = try TemporaryFolder()
        let tensor = filled(try layout("a", .u8, [1000]), 1)
        func drop() throws {
            let writer = try SafetensorsWriter(
                path: "\(folder.path)/m.safetensors", tensors: [try layout("a", .u8, [1000])])
            try writer.append(UnsafeRawBufferPointer(rebasing: tensor.bytes[..<10]))
            #expect(folder.names == ["m.safetensors.part"])
        }
        try drop()
        #expect(folder.names == [])
        let writer = try SafetensorsWriter(path: "\(folder.path)/m.safetensors", tensors: [])
        writer.discard()
        #expect(folder.names == [])
    }

    @Test func `a full disk is a sentence with the numbers, and the partial file is gone`() throws {
        let folder = try TemporaryFolder()
        folder.link("m.safetensors.part", to: "/dev/full")
        let error = try #require(throws: FormatError.self) {
            let writer = try SafetensorsWriter(
                path: "\(folder.path)/m.safetensors", tensors: [try layout("a", .u8, [1000])])
            try writer.append(filled(try layout("a", .u8, [1000]), 1))
        }
        #expect(error.path == "\(folder.path)/m.safetensors")
        #expect(error.reason.contains("does not fit on the disk, 0 of 1"))
        #expect(error.reason.contains("free some space or choose another folder"))
        #expect(folder.names == [])
    }

    @Test func `more than the disk can hold is refused before the first byte`() throws {
        let folder = try TemporaryFolder()
        let error = try #require(throws: FormatError.self) {
            _ = try SafetensorsWriter(path: "\(folder.path)/m.safetensors", tensors: [try layout("a", .u8, [1 << 60])])
        }
        #expect(error.reason.contains("does not fit on the disk"))
        #expect(folder.names == [])
    }

    @Test func `a folder that does not exist is refused by name`() throws {
        let error = try #require(throws: FormatError.self) { try AtomicFile.write([1], to: "/nonexistent/x") }
        #expect(error.description == "/nonexistent/x: cannot be created: No such file or directory.")
    }

    @Test func `small files are replaced whole`() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.write("one", to: "\(folder.path)/a")
        try AtomicFile.write("", to: "\(folder.path)/a")
        #expect(try folder.read("a") == [])
        try AtomicFile.write("two", to: "\(folder.path)/a")
        #expect(try folder.read("a") == Array("two".utf8))
        #expect(folder.names == ["a"])
        folder.link("b.part", to: "/dev/full")
        #expect(throws: FormatError.self) { try AtomicFile.write("three", to: "\(folder.path)/b") }
        #expect(folder.names == ["a"])
    }

    @Test(arguments: [(1 << 20, 1), (100, 2), (90, 3), (1, 4)])
    func `shards hold at most their size and are read back through the index`(size: Int, count: Int) throws {
        let folder = try TemporaryFolder()
        let layouts = try (0..<4).map { try layout("model.t\($0)", .u8, [10 + $0, 4]) }
        let tensors = layouts.enumerated().map { filled($1, UInt64($0)) }
        let writer = ShardedWriter(folder: folder.path, tensors: layouts, maxShardBytes: size)
        #expect(writer.shards.count == count)
        #expect(writer.shards.allSatisfy { $0.count == 1 || $0.reduce(0) { $0 + $1.byteCount } <= size })
        for (index, tensor) in tensors.enumerated() {
            if index % 2 == 0 { try writer.append(tensor) } else { try writer.append(tensor.bytes) }
        }
        try writer.finish()
        try folder.write("config.json", ["model_type": "llama"])
        let checkpoint = try CheckpointReader.open(folder.path)
        #expect(folder.names.filter { $0.hasSuffix(".safetensors") } == writer.shardNames)
        #expect(folder.names.contains("model.safetensors.index.json") == (count > 1))
        #expect(checkpoint.tensorNames == layouts.map(\.name))
        for tensor in tensors {
            #expect(Array(try checkpoint.tensor(tensor.name).bytes) == Array(tensor.bytes))
        }
    }
}
