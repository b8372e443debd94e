// A GGUF file from its first byte to the last weight: header, settings, vocabulary, and every tensor dequantized.

import CrumbFormats
import CrumbTensor
import FuzzSupport

private func string(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + Array(text.utf8) }

private func key(_ name: String, _ type: UInt32, _ value: [UInt8]) -> [UInt8] {
    string(name) + littleEndian(type) + value
}

/// A model of one layer with biases, one matrix of each type, its vocabulary and frequency factors.
private func model(_ architecture: String) -> [UInt8] {
    var keys = [
        key("general.architecture", 8, string(architecture)), key("general.alignment", 4, littleEndian(UInt32(32))),
        key("\(architecture).attention.layer_norm_rms_epsilon", 6, littleEndian(Float(1e-5).bitPattern)),
        key("tokenizer.ggml.model", 8, string("gpt2")), key("tokenizer.ggml.add_bos_token", 7, [1]),
        key(
            "tokenizer.ggml.tokens", 9, littleEndian(UInt32(8)) + littleEndian(UInt64(2)) + string("a") + string("</s>")
        ),
        key(
            "tokenizer.ggml.token_type", 9,
            littleEndian(UInt32(5)) + littleEndian(UInt64(2)) + [1, 0, 0, 0, 3, 0, 0, 0]),
        key("tokenizer.ggml.eos_token_id", 4, littleEndian(UInt32(1))),
        key(
            "nested", 9,
            littleEndian(UInt32(9)) + littleEndian(UInt64(1)) + littleEndian(UInt32(0)) + littleEndian(UInt64(1)) + [1]),
    ]
    for (name, value) in [
        ("block_count", 1), ("context_length", 64), ("embedding_length", 256), ("feed_forward_length", 256),
        ("attention.head_count", 2), ("attention.head_count_kv", 1), ("attention.key_length", 4),
    ] as [(String, UInt32)] { keys.append(key("\(architecture).\(name)", 4, littleEndian(value))) }
    var infos: [[UInt8]] = []
    var data: [UInt8] = []
    func tensor(_ name: String, _ shape: [UInt64], _ type: UInt32, _ count: Int) {
        let place = shape.flatMap { littleEndian($0) } + littleEndian(type) + littleEndian(UInt64(data.count))
        infos.append(string(name) + littleEndian(UInt32(shape.count)) + place)
        data += [UInt8](repeating: 0x11, count: (count + 31) / 32 * 32)
    }
    tensor("token_embd.weight", [256, 2], 8, 544)
    tensor("rope_freqs.weight", [2], 0, 8)
    for (name, type, bytes) in [
        ("attn_q", 12, 1152), ("attn_k", 2, 576), ("attn_v", 14, 840), ("attn_output", 10, 168), ("ffn_gate", 11, 220),
        ("ffn_up", 13, 352), ("ffn_down", 30, 1024), ("attn_norm", 0, 1024), ("ffn_norm", 1, 512),
    ] as [(String, UInt32, Int)] {
        let rows: UInt64 =
            name == "attn_q" ? 8 : name == "attn_k" || name == "attn_v" ? 4 : name.hasSuffix("norm") ? 1 : 2
        tensor("blk.0.\(name).weight", rows == 1 ? [256] : [256, rows], type, bytes)
    }
    tensor("blk.0.attn_q.bias", [8], 0, 32)
    let head =
        Array("GGUF".utf8) + littleEndian(UInt32(3)) + littleEndian(UInt64(infos.count))
        + littleEndian(UInt64(keys.count))
    let header = head + keys.joined() + infos.joined()
    return header + [UInt8](repeating: 0, count: (32 - header.count % 32) % 32) + data
}

Fuzzer.run(seeds: [model("llama"), model("qwen2")]) { start, count in
    let buffer = HeapBuffer(byteCount: count)
    buffer.mutableBytes.copyBytes(from: UnsafeRawBufferPointer(start: start, count: count))
    guard let checkpoint = try? GGUFCheckpoint(FileMemory(buffer, byteCount: count, path: "fuzz")) else { return 0 }
    _ = checkpoint.generationConfiguration
    _ = try? checkpoint.tokenizerFiles
    for name in checkpoint.tensorNames {
        guard let tensor = try? checkpoint.tensor(name) else { fatalError("\(name) is listed but cannot be read") }
        Fuzzer.require(tensor.bytes.count == tensor.rows * tensor.rowBytes, "\(name) has another size than its rows")
        if tensor.type.isWeight { _ = Dequantizer.dequantize(tensor) } else { _ = tensor.bytes.reduce(0) { $0 ^ $1 } }
    }
    return 0
}
