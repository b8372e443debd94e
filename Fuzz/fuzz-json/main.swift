// JSON, and the two files whose JSON is checked by nothing but their reader: config.json and the index of shards.
// Whatever is read must come back the same after writing.

import CrumbFormats
import CrumbJSON
import FuzzSupport

private let seeds = [
    #"{"a":[1,-2.5e3,"\u00e9\uD83D\uDE00x\\",true,false,null],"b":{"c":{}},"d":9223372036854775807}"#,
    #"[[[[]]],{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10}]"#,
    #"{"metadata":{"total_size":16},"weight_map":{"a":"model-00001-of-00002.safetensors"}}"#,
    #"{"hidden_size":64,"num_attention_heads":4,"num_key_value_heads":2,"rope_theta":1e4,"quantization_config":{"quant_method":"crumb"}}"#,
]

Fuzzer.run(seeds: seeds.map { Array($0.utf8) }) { start, count in
    let limits = JSONLimits(maxDepth: 40, maxBytes: 1 << 20, maxValues: 5000, maxKeys: 500, maxStringBytes: 1 << 12)
    guard let value = try? JSON.parse(Fuzzer.bytes(start, count), source: "fuzz", limits: limits) else { return 0 }
    for pretty in [false, true] {
        let again = try? JSON.parse(JSON.serialize(value, pretty: pretty), source: "fuzz")
        Fuzzer.require(again == value, "a value changed on its way through the writer")
    }
    _ = try? ShardIndex(value, path: "fuzz")
    if let object = value.object { _ = try? ConfigurationCheck(path: "fuzz", configuration: object).run() }
    return 0
}
