// One request of the gateway's own: a connection for it alone, and an answer that is taken in whole, within
// bounds of size and time. What comes is believed no more than any other answer. Redirects are not followed:
// where the gateway asks is for its configuration to say.
//
// Owned by: the shard that it runs on.

import HTTP
import Network
import Primitives
import TLS

/// What has come of a request.
enum FetchOutcome {
    case answered(FetchedAnswer)
    /// Why there is no answer, in words for the log.
    case failed(String)
    /// The same where nothing has been asked yet: somebody else may be.
    case unreachable(String)
}

/// Asks once.
final class Fetch: EventTarget {
    private var transport: Transport
    private let loop: EventLoop
    private var output = ByteBuffer()
    private var input = ByteBuffer()
    private var reader: AnswerReader
    private var isEstablished = false
    private let timeoutMilliseconds: Int64
    private let connectMilliseconds: Int64
    private var endsAt = MonotonicInstant.never
    private let done: (FetchOutcome) -> Void

    /// - Parameters:
    ///   - timeoutMilliseconds: for all of it.
    ///   - connectMilliseconds: how much of that the connection may take until requests can be sent; nil is
    ///     all of it.
    ///   - done: called once, unless the request is stopped.
    init(
        _ transport: consuming Transport, request: [UInt8], part: FetchedPart, timeoutMilliseconds: Int64,
        connectMilliseconds: Int64? = nil, loop: EventLoop, done: @escaping (FetchOutcome) -> Void
    ) {
        self.transport = transport
        reader = AnswerReader(part)
        self.timeoutMilliseconds = timeoutMilliseconds
        self.connectMilliseconds = min(connectMilliseconds ?? timeoutMilliseconds, timeoutMilliseconds)
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
            // RFC 9110 §12.5.3: without the field any content coding is acceptable, and none is understood.
            bytes.append("\r\nAccept-Encoding: identity")
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
        endsAt = loop.now.advanced(byMilliseconds: timeoutMilliseconds)
        loop.setDeadline(self, milliseconds: connectMilliseconds)
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
            loop.setDeadline(self, milliseconds: max(0, endsAt.milliseconds - loop.now.milliseconds))
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
            if let answer = reader.connectionEnded() {
                finish(.answered(answer))
            } else {
                finish(.failed("closed without an answer"))
            }
        case .failed: finish(.failed("closed without an answer"))
        }
    }

    private func read() {
        do throws(AnswerFault) {
            if let answer = try reader.take(&input) { finish(.answered(answer)) }
        } catch {
            finish(.failed(error.reason))
        }
    }

    private func finish(_ outcome: FetchOutcome) {
        if !isRegistered { return }
        transport.sayGoodbye()
        loop.remove(self)
        done(outcome)
    }

    private static let readBytes = 4 * 1024
}
