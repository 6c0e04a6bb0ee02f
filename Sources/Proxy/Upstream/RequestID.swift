// One name for a request in the logs of all that handle it: the X-Request-Id of a trusted proxy where it is a
// usable one, else one of ours. No secret, and nothing is granted for knowing it; but it should not tell anybody how
// many requests there have been, so a made one is a counter that no outsider can read.

import HTTP
import Primitives

/// The id of a request: a range of its head, or two numbers. Either is kept with the exchange as it is, for
/// the upstream, a second try and the log, and written without an allocation.
enum RequestID: Equatable {
    /// As the client sent it: the range in the bytes of the head.
    case received(ByteRange)
    case made(high: UInt64, low: UInt64)

    /// The name's lines are removed from the head, in every spelling, before ours is written.
    static let fields = FieldNameSet([.xRequestID])
    /// An id of a client; whatever stands in logs is bounded.
    static let receivedBytesMax = 128

    /// Appends the id.
    func write(_ block: borrowing HeaderBlock, to output: inout ByteBuffer) {
        switch self {
        case .received(let range): block.withBytes { bytes in output.append(bytes, range) }
        case .made(let high, let low):
            output.reserve(32)
            Self.append(high, to: &output)
            Self.append(low, to: &output)
        }
    }

    /// The id by itself; empty where no head could be read.
    func bytes(_ block: borrowing HeaderBlock) -> [UInt8] {
        if self == .received(.empty) { return [] }
        var buffer = ByteBuffer()
        write(block, to: &buffer)
        return buffer.withReadable { [UInt8](copying: $0) }
    }

    /// Appends `X-Request-Id: …` and its CRLF.
    func writeLine(_ block: borrowing HeaderBlock, to output: inout ByteBuffer) {
        output.append("X-Request-Id: ")
        write(block, to: &output)
        output.append("\r\n")
    }

    /// The client's id: the one line of that name, if it is made of what ids are made of (UUIDs, ULIDs, trace
    /// ids, base64), and of nothing that a log or a shell could take for something else.
    fileprivate static func received(_ block: borrowing HeaderBlock) -> ByteRange? {
        if block.count(of: .xRequestID) != 1 { return nil }
        guard let value = block.fields.first(where: { $0.known == .xRequestID })?.value,
            (1...receivedBytesMax).contains(value.count)
        else { return nil }
        return block.withBytes { bytes in
            for index in value.offsets where !characters.contains(bytes[index]) { return nil }
            return value
        }
    }

    /// All 16 digits of a half.
    private static func append(_ half: UInt64, to output: inout ByteBuffer) {
        var shift: UInt64 = 64
        while shift > 0 {
            shift -= 4
            output.append(byte: ASCII.hexadecimalDigit(UInt8(half >> shift & 15)))
        }
    }

    private static let characters = ASCII.Class(
        "._~+/=:-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

/// Makes the ids of one shard. 64 random bits tell shards and processes apart; within them no id comes twice,
/// for what makes the other half of the counter is a permutation.
///
/// Owned by: one shard.
struct RequestIDMint {
    private let prefix: UInt64
    private let keys: (UInt64, UInt64)
    private var counter: UInt64 = 0

    init() {
        var random = SystemRandomNumberGenerator()
        self.init(using: &random)
    }

    /// A mint that draws its prefix and keys from `random`.
    init(using random: inout some RandomNumberGenerator) {
        prefix = random.next()
        keys = (random.next(), random.next())
    }

    /// The id of a request: the one that it came with, or a new one.
    ///
    /// - Parameter isTrusted: whether what came with it is believed; a stranger's would stand in our logs beside
    ///   somebody else's.
    mutating func id(of block: borrowing HeaderBlock, isTrusted: Bool) -> RequestID {
        if isTrusted, let range = RequestID.received(block) { return .received(range) }
        counter &+= 1
        return .made(high: prefix, low: Self.mix(counter ^ keys.0) ^ keys.1)
    }

    /// SplitMix64's finaliser: each step can be undone, so two counters never meet. The keys on either side
    /// keep an outsider from undoing them.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
