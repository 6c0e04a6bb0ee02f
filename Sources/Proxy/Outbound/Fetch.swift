// One request of the gateway's own: a connection for it alone, and an answer that is taken in whole, within
// bounds of size and time. What comes is believed no more than any other answer. Redirects are not followed:
// where the gateway asks is for its configuration to say.
//
// Owned by: the shard that it runs on.

import HTTP
import Network
import Primitives
import TLS

/// How much of an answer is wanted.
enum FetchedPart {
    /// Its head; the rest is not waited for.
    case head
    /// All of it, with a body of so many bytes at most.
    case whole(bytesMax: Int)
}

/// What has come of a request.
enum FetchOutcome {
    case answered(FetchedAnswer)
    /// Why there is no answer, in words for the log.
    case failed(String)
    /// The same where nothing has been asked yet: somebody else may be.
    case unreachable(String)
}

/// An answer.
struct FetchedAnswer {
    let status: Int
    let body: [UInt8]
    /// For how long it may be kept (RFC 9111 §5.2.2.1), where it says so.
    let maxAgeSeconds: Int64?
}

/// Asks once.
final class Fetch: EventTarget {
    private var transport: Transport
    private let loop: EventLoop
    private let part: FetchedPart
    private var output = ByteBuffer()
    private var input = ByteBuffer()
    private var head = ResponseHead()
    private var reader: BodyReader?
    private var body: [UInt8] = []
    private var interimCount = 0
    private var isEstablished = false
    private let timeoutMilliseconds: Int64
    private let done: (FetchOutcome) -> Void

    /// - Parameter done: called once, unless the request is stopped.
    init(
        _ transport: consuming Transport, request: [UInt8], part: FetchedPart, timeoutMilliseconds: Int64,
        loop: EventLoop, done: @escaping (FetchOutcome) -> Void
    ) {
        self.transport = transport
        self.part = part
        self.timeoutMilliseconds = timeoutMilliseconds
        self.loop = loop
        self.done = done
        output.append(request)
    }

    /// The request in one piece.
    ///
    /// - Parameter fields: whole lines, with their ends.
    static func request(
        _ method: StaticString, _ path: String, authority: [UInt8], agent: StaticString,
        accept: StaticString? = nil, fields: [UInt8] = [], body: [UInt8] = []
    ) -> [UInt8] {
        var bytes = ByteBuffer()
        bytes.append(method)
        bytes.append(" ")
        bytes.append(text: path)
        bytes.append(" HTTP/1.1\r\nHost: ")
        bytes.append(authority)
        bytes.append("\r\nUser-Agent: ")
        bytes.append(agent)
        if let accept {
            bytes.append("\r\nAccept: ")
            bytes.append(accept)
        }
        bytes.append("\r\n")
        bytes.append(fields)
        if !body.isEmpty {
            bytes.append("Content-Length: ")
            bytes.append(decimal: UInt64(body.count))
            bytes.append("\r\n")
        }
        bytes.append("Connection: close\r\n\r\n")
        bytes.append(body)
        return bytes.withReadable { [UInt8](copying: $0) }
    }

    func start() throws(SystemError) {
        try loop.add(self, transport)
        loop.setDeadline(self, milliseconds: timeoutMilliseconds)
    }

    /// Ends the request without an outcome.
    func stop() { loop.remove(self) }

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        if !isEstablished {
            if let error = transport.connectionError {
                finish(.unreachable(transport.tlsError?.reason ?? error.reason))
                return
            }
            if !transport.isEstablished { return }
            isEstablished = true
        }
        while !output.isEmpty && transport.maySend {
            // A server that has closed may have answered before.
            guard case .bytes = transport.send(from: &output) else { break }
        }
        while isRegistered && transport.mayReceive { receive() }
    }

    override func deadlinePassed() {
        finish(isEstablished ? .failed("no answer in time") : .unreachable("no connection in time"))
    }

    private func receive() {
        input.reserve(Self.readBytes)
        switch transport.receive(into: &input) {
        case .bytes: read()
        case .wouldBlock: break
        case .ended:
            reader?.connectionEnded() == true ? answer() : finish(.failed("closed without an answer"))
        case .failed: finish(.failed("closed without an answer"))
        }
    }

    private func read() {
        do throws(ProtocolViolation) {
            if reader == nil { try readHead() }
            if isRegistered && reader != nil { try readBody() }
        } catch {
            finish(.failed(error.word))
        }
    }

    private func readHead() throws(ProtocolViolation) {
        while !input.isEmpty {
            let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                try ResponseParser.parse(bytes, into: &head, isHead: false, limits: Self.limits)
            }
            guard case .complete(let count) = result else { return }
            input.consume(count)
            if !head.isInterim {
                reader = BodyReader(head.framing)
                if case .head = part { answer() }
                return
            }
            interimCount += 1
            if interimCount > Self.limits.interimResponsesMax { throw .interimFlood }
        }
    }

    private func readBody() throws(ProtocolViolation) {
        guard var reader, case .whole(let bytesMax) = part else { return }
        var consumed = 0
        try input.withReadable { (bytes) throws(ProtocolViolation) in
            while !reader.isComplete {
                let step = try reader.step(bytes, from: consumed, limits: Self.limits)
                body += [UInt8](copying: bytes.extracting(step.content.offsets))
                if step.consumed == consumed || body.count > bytesMax { break }
                consumed = step.consumed
            }
        }
        input.consume(consumed)
        self.reader = reader
        if body.count > bytesMax {
            finish(.failed("an answer of more than \(bytesMax) bytes"))
        } else if reader.isComplete {
            answer()
        }
    }

    private func answer() {
        let maxAge = head.block.withBytes { CacheControl.maxAgeSeconds(in: head.block, $0) }
        finish(.answered(FetchedAnswer(status: head.status, body: body, maxAgeSeconds: maxAge)))
    }

    private func finish(_ outcome: FetchOutcome) {
        if !isRegistered { return }
        transport.sayGoodbye()
        loop.remove(self)
        done(outcome)
    }

    private static let readBytes = 4 * 1024
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
