// The answer to a request of the gateway's own, from bytes to a value: interim heads, the head, and a body of
// any framing, all within bounds. No I/O and no time.

import HTTP
import Primitives

/// How much of an answer is wanted.
enum FetchedPart {
    /// Its head; the rest is not waited for.
    case head
    /// All of it, with a body of so many bytes at most.
    case whole(bytesMax: Int)
}

/// An answer.
struct FetchedAnswer: Equatable {
    let status: Int
    let body: [UInt8]
    /// For how long it may be kept (RFC 9111 §5.2.2.1), where it says so.
    let maxAgeSeconds: Int64?
}

/// Why there is no answer, though there were bytes.
enum AnswerFault: Error, Equatable {
    case violation(ProtocolViolation)
    case bodyTooLarge(bytesMax: Int)

    /// In words for the log.
    var reason: String {
        switch self {
        case .violation(let violation): violation.word
        case .bodyTooLarge(let bytesMax): "an answer of more than \(bytesMax) bytes"
        }
    }
}

/// Reads one answer.
struct AnswerReader: ~Copyable {
    private let part: FetchedPart
    private var scanner = HeadScanner()
    private var isHeadPartial = false
    private var head = ResponseHead()
    private var interimCount = 0
    private var reader: BodyReader?
    private var body: [UInt8] = []

    init(_ part: FetchedPart) { self.part = part }

    /// Takes bytes that have arrived from the front of `input`.
    ///
    /// - Returns: the answer, when that was all of it.
    mutating func take(_ input: inout ByteBuffer) throws(AnswerFault) -> FetchedAnswer? {
        do throws(ProtocolViolation) {
            if reader == nil, try !readHead(&input) { return nil }
            if case .whole(let bytesMax) = part { try readBody(&input, bytesMax) }
        } catch {
            throw .violation(error)
        }
        guard case .whole(let bytesMax) = part else { return answer }
        if body.count > bytesMax { throw .bodyTooLarge(bytesMax: bytesMax) }
        return reader?.isComplete == true ? answer : nil
    }

    /// The connection has ended; nil where that cuts the answer off.
    mutating func connectionEnded() -> FetchedAnswer? {
        reader?.connectionEnded() == true ? answer : nil
    }

    /// False while more is needed.
    private mutating func readHead(_ input: inout ByteBuffer) throws(ProtocolViolation) -> Bool {
        while !input.isEmpty {
            let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                if isHeadPartial, try scanner.end(in: bytes, limits: Self.limits) == nil {
                    return HeadResult.needsMore
                }
                return try ResponseParser.parse(bytes, into: &head, isHead: false, limits: Self.limits)
            }
            guard case .complete(let count) = result else {
                isHeadPartial = true
                return false
            }
            input.consume(count)
            isHeadPartial = false
            scanner.reset()
            if !head.isInterim {
                reader = BodyReader(head.framing)
                return true
            }
            interimCount += 1
            if interimCount > Self.limits.interimResponsesMax { throw .interimFlood }
        }
        return false
    }

    private mutating func readBody(
        _ input: inout ByteBuffer, _ bytesMax: Int
    ) throws(ProtocolViolation) {
        guard var reader else { return }
        var consumed = 0
        try input.withReadable { (bytes) throws(ProtocolViolation) in
            while !reader.isComplete && body.count <= bytesMax {
                let step = try reader.step(bytes, from: consumed, limits: Self.limits)
                body += [UInt8](copying: bytes.extracting(step.content.offsets))
                if step.consumed == consumed { break }
                consumed = step.consumed
            }
        }
        input.consume(consumed)
        self.reader = reader
    }

    private var answer: FetchedAnswer {
        let maxAge = head.block.withBytes { CacheControl.maxAgeSeconds(in: head.block, $0) }
        return FetchedAnswer(status: head.status, body: body, maxAgeSeconds: maxAge)
    }

    private static let limits = MessageLimits()
}

/// Cache-Control of an answer, as far as it is of use here (RFC 9111 §5.2).
enum CacheControl {
    /// `max-age`; 0 where nothing may be kept, nil where nothing is said.
    static func maxAgeSeconds(in block: borrowing HeaderBlock, _ bytes: Span<UInt8>) -> Int64? {
        var seconds: Int64?
        for field in block.fields where field.known == .cacheControl {
            let text = String(
                decoding: [UInt8](copying: bytes.extracting(field.value.offsets)), as: UTF8.self)
            for directive in text.lowercased().split(separator: ",") {
                let parts = directive.split(separator: "=", maxSplits: 1)
                switch parts.first.map({ $0.filter { $0 != " " && $0 != "\t" } }) {
                case "no-store", "no-cache": return 0
                case "max-age" where parts.count == 2:
                    seconds = Int64(parts[1].filter { $0 != "\"" && $0 != " " })
                default: break
                }
            }
        }
        return seconds.map { max($0, 0) }
    }
}
