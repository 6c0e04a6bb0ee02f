// A connection to the demo: it reads requests one after the other, also pipelined ones, has each answered,
// and keeps the connection where both sides may (RFC 9112 §9.3). This file is its life and what comes in;
// `ConnectionOutput` is what goes out.
//
// Owned by: the loop's serial queue. Invariant: between two events, everything that could be done without
// waiting has been done.

import HTTP
import Network
import Primitives

/// A client's connection.
final class Connection: EventTarget {
    /// Where the connection is with its current request.
    enum Phase {
        case awaitingHead
        /// The body is taken in, for an answer that needs all of it.
        case collecting
        /// The body is sent back as it comes.
        case echoing
        /// The answer waits for its time.
        case delaying
        /// The answer's body is made as the client takes it.
        case producing
        case streamingEvents
        /// The answer is complete and leaves.
        case flushing
        /// Our side is closed; the client's last bytes are thrown away.
        case lingering
    }

    unowned let service: Service
    var transport: Transport
    var input = ByteBuffer()
    var output = ByteBuffer()
    var head = RequestHead()
    var phase = Phase.awaitingHead
    var requestBody = BodyReader(.none)
    /// Whether another request may follow this one.
    var isPersistent = true
    /// The framing of the answer that is being sent.
    var framing = BodyFraming.none
    /// An answer that waits for its time.
    var delayed: Answer?
    /// What is left to send of a body that is made while it is sent.
    var patternRemaining: UInt64 = 0
    var events = EventStream()
    var isClosed = false
    private var scanner = HeadScanner()
    private var request: Request?
    private var collected: [UInt8] = []
    /// The client will send no more.
    private var hasEnded = false
    private var lingered = 0

    init(_ accepted: Accepted, service: Service) {
        self.service = service
        transport = Transport(FileDescriptor(accepted.descriptor))
    }

    /// Starts listening to the client.
    func open() {
        do throws(SystemError) {
            try service.loop.add(self, transport)
            service.loop.setDeadline(self, milliseconds: Self.idleMilliseconds)
        } catch {
            Console.error("demo-api: a connection could not be watched: \(error)")
        }
    }

    // MARK: - Events

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.isDisjoint(with: .broken) { pump() } else { close() }
    }

    override func deadlinePassed() {
        switch phase {
        case .delaying:
            if let answer = delayed {
                delayed = nil
                send(answer)
            }
        case .streamingEvents: sendEvent()
        case .awaitingHead, .collecting, .echoing, .producing, .flushing, .lingering: close()
        }
        if !isClosed { pump() }
    }

    /// Reads what has arrived, where there is room; false when nothing came of it.
    private func receive() -> Bool {
        if !transport.mayReceive || hasEnded { return false }
        service.buffers.supply(&input)
        if input.freeCount == 0 { return false }
        switch transport.receive(into: &input) {
        case .bytes: return true
        case .wouldBlock: return false
        case .ended: hasEnded = true
        case .failed: close()
        }
        return !isClosed
    }

    /// Does everything that can be done now: readiness is told once.
    private func pump() {
        var goesOn = true
        while goesOn && !isClosed {
            while !isClosed && step() {}
            if isClosed { return }
            flush()
            let hasMore = phase == .producing || phase == .echoing && !input.isEmpty
            goesOn = !isClosed && (receive() || hasMore && output.isEmpty)
        }
        if !isClosed { settle() }
    }

    /// One step; false when something must be waited for.
    private func step() -> Bool {
        switch phase {
        case .awaitingHead: return readHead()
        case .collecting: return collect()
        case .echoing: return echo()
        case .delaying: return false
        case .producing: return produce()
        case .streamingEvents:
            // Nobody half-closes an event stream: the client has gone.
            if hasEnded { close() }
            return false
        case .flushing:
            flush()
            if isClosed || !output.isEmpty { return false }
            finish()
            return true
        case .lingering:
            lingered += input.count
            input.removeAll()
            if hasEnded || lingered > Self.lingerBytesMax { close() }
            return false
        }
    }

    /// Sets until when whatever is waited for must come.
    private func settle() {
        switch phase {
        case .awaitingHead:
            service.buffers.reclaim(&input)
            service.buffers.reclaim(&output)
            service.loop.setDeadline(self, milliseconds: Self.idleMilliseconds)
        case .collecting, .echoing, .producing, .flushing:
            service.loop.setDeadline(self, milliseconds: Self.stallMilliseconds)
        case .delaying, .streamingEvents, .lingering: break
        }
    }

    // MARK: - Requests

    private func readHead() -> Bool {
        if input.isEmpty {
            if hasEnded { close() }
            return false
        }
        do throws(ProtocolViolation) {
            let limits = service.messageLimits
            let end = try input.withReadable { (bytes) throws(ProtocolViolation) in
                try scanner.end(in: bytes, limits: limits)
            }
            guard end != nil else { return awaitRestOfHead() }
            let result = try input.withReadable { (bytes) throws(ProtocolViolation) in
                try RequestParser.parse(bytes, into: &head, limits: limits)
            }
            guard case .complete(let count) = result else { return awaitRestOfHead() }
            input.consume(count)
            scanner.reset()
            begin()
        } catch {
            head.reset()
            refuse(error.status, error.word)
        }
        return true
    }

    private func awaitRestOfHead() -> Bool {
        if hasEnded { close() }
        // The scanner refuses a head that is too large, so this growth is bounded by its limit.
        if input.freeCount == 0 { input.reserve(input.capacity) }
        return false
    }

    private func begin() {
        isPersistent = head.isPersistent
        requestBody = BodyReader(head.framing)
        collected.removeAll(keepingCapacity: true)
        let request = Request(head)
        self.request = request
        if head.expectsContinue { output.append("HTTP/1.1 100 Continue\r\n\r\n") }
        if request.method == .post && request.path == "/echo" {
            beginEcho(contentType: request.field("content-type"))
        } else {
            phase = .collecting
        }
    }

    private func collect() -> Bool {
        let isWhole = readBody { connection, content in
            for index in content.indices { connection.collected.append(content[index]) }
            return connection.collected.count <= Self.collectedBytesMax
        }
        guard let isWhole else {
            refuse(413, "body_too_large")
            return true
        }
        if !isWhole || phase != .collecting { return phase != .collecting }
        guard var request else { return false }
        self.request = nil
        request.body = collected
        send(service.api.answer(request))
        return true
    }

    /// Reads on in the request's body and hands each piece of content to `take`, which says whether to go on.
    ///
    /// - Returns: whether the body is complete; nil when `take` had enough of it. A body that breaks the
    ///   rules is answered here, and a client that goes away before its end ends the connection.
    func readBody(_ take: (Connection, Span<UInt8>) -> Bool) -> Bool? {
        while !requestBody.isComplete && !input.isEmpty {
            do throws(ProtocolViolation) {
                var goesOn = true
                let step = try input.withReadable { (bytes) throws(ProtocolViolation) in
                    let step = try requestBody.step(bytes, from: 0, limits: service.messageLimits)
                    if !step.content.isEmpty { goesOn = take(self, bytes.extracting(step.content.offsets)) }
                    return step
                }
                input.consume(step.consumed)
                if !goesOn { return nil }
            } catch {
                refuse(error.status, error.word)
                return false
            }
        }
        if !requestBody.isComplete && hasEnded { close() }
        return requestBody.isComplete
    }

    // MARK: - The end

    /// The answer has left: the connection goes on or closes.
    private func finish() {
        if isPersistent {
            phase = .awaitingHead
            return
        }
        // Closing over unread bytes would send a reset, which can overtake the answer.
        if requestBody.isComplete && input.isEmpty {
            close()
            return
        }
        phase = .lingering
        transport.finishSending()
        service.loop.setDeadline(self, milliseconds: Self.lingerMilliseconds)
    }

    func close() {
        if isClosed { return }
        isClosed = true
        // The descriptor closes with the transport, when the last reference to this connection goes.
        service.loop.remove(self)
    }

    /// Longer than a gateway keeps its idle connections, so that closing is its decision and not a race.
    private static let idleMilliseconds: Int64 = 300_000
    private static let stallMilliseconds: Int64 = 60_000
    private static let lingerMilliseconds: Int64 = 2_000
    private static let lingerBytesMax = 1 << 20
    private static let collectedBytesMax = 64 * 1024
}
