// One health check: a connection of its own, one request, and as much of the answer as its head. What comes
// is believed no more than any other answer.
//
// Owned by: the first shard.

import HTTP
import Network
import Primitives
import TLS

/// What a check has come to.
enum ProbeOutcome: Equatable {
    case passed
    case failed(String)
}

/// Asks a server once.
final class HealthProbe: EventTarget {
    private var transport: Transport
    private let loop: EventLoop
    private var output = ByteBuffer()
    private var input = ByteBuffer()
    private var head = ResponseHead()
    private var interimCount = 0
    private var isEstablished = false
    private let timeoutMilliseconds: Int64
    private let done: (ProbeOutcome) -> Void

    /// - Parameter done: called once, unless the check is stopped.
    init(
        _ transport: consuming Transport, request: [UInt8], timeoutMilliseconds: Int64, loop: EventLoop,
        done: @escaping (ProbeOutcome) -> Void
    ) {
        self.transport = transport
        self.timeoutMilliseconds = timeoutMilliseconds
        self.loop = loop
        self.done = done
        output.append(request)
    }

    func start() throws(SystemError) {
        try loop.add(self, transport)
        loop.setDeadline(self, milliseconds: timeoutMilliseconds)
    }

    /// Ends the check without an outcome.
    func stop() { loop.remove(self) }

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        if !isEstablished {
            if let error = transport.connectionError {
                finish(.failed(transport.tlsError?.reason ?? error.reason))
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
        finish(.failed(isEstablished ? "no answer in time" : "no connection in time"))
    }

    private func receive() {
        input.reserve(Self.readBytes)
        switch transport.receive(into: &input) {
        case .bytes: readHead()
        case .wouldBlock: break
        case .ended, .failed: finish(.failed("closed without an answer"))
        }
    }

    private func readHead() {
        do throws(ProtocolViolation) {
            while !input.isEmpty {
                let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    try ResponseParser.parse(bytes, into: &head, isHead: false, limits: Self.limits)
                }
                guard case .complete(let count) = result else { return }
                input.consume(count)
                if !head.isInterim {
                    let hasPassed = (200..<400).contains(head.status)
                    finish(hasPassed ? .passed : .failed("status \(head.status)"))
                    return
                }
                interimCount += 1
                if interimCount > Self.limits.interimResponsesMax { throw .interimFlood }
            }
        } catch {
            finish(.failed(error.word))
        }
    }

    private func finish(_ outcome: ProbeOutcome) {
        if !isRegistered { return }
        transport.sayGoodbye()
        loop.remove(self)
        done(outcome)
    }

    private static let readBytes = 4 * 1024
    private static let limits = MessageLimits()
}
