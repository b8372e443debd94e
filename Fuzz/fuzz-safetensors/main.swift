// A safetensors file: header, and every byte of every tensor.

import CrumbFormats
import CrumbTensor
import FuzzSupport

private func file(_ json: String, _ dataBytes: Int) -> [UInt8] {
    littleEndian(UInt64(json.utf8.count)) + Array(json.utf8) + [UInt8](repeating: 7, count: dataBytes)
}

private let seeds = [
    file(
        #"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[5],"data_offsets":[24,29]}}"#,
        29),
    file(#"{"__metadata__":{"format":"pt"},"x.y":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  "#, 2),
    file(
        #"{"e":{"dtype":"I64","shape":[0,4],"data_offsets":[0,0]},"f":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#,
        2),
    file("{}", 0),
]

Fuzzer.run(seeds: seeds) { start, count in
    let buffer = HeapBuffer(byteCount: count)
    buffer.mutableBytes.copyBytes(from: UnsafeRawBufferPointer(start: start, count: count))
    guard let file = try? SafetensorsFile(FileMemory(buffer, byteCount: count, path: "fuzz")) else { return 0 }
    for entry in file.header.tensors {
        guard let tensor = try? file.tensor(entry.layout.name) else {
            fatalError("a tensor is listed but cannot be read")
        }
        Fuzzer.require(tensor.bytes.count == entry.layout.byteCount, "a tensor has another size than its layout")
        if tensor.type.isWeight { _ = Dequantizer.dequantize(tensor) } else { _ = tensor.bytes.reduce(0) { $0 ^ $1 } }
    }
    return 0
}
