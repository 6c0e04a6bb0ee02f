// What a connection sends: answers at hand, and bodies that are made while they are sent, never faster than
// the client takes them.

import HTTP
import Network
import Primitives

/// The place of an event stream in its life.
struct EventStream {
    var subject: String?
    var number: Int64 = 0
    /// When the next event is due. Counted from the last due time, not from when that one really left, so
    /// that the coarse deadlines of the loop do not add up.
    var due = MonotonicInstant.never
}

extension Connection {
    // MARK: - Answers

    /// Sends an answer, or begins to.
    func send(_ answer: Answer) {
        if answer.delayMilliseconds > 0 {
            var later = answer
            later.delayMilliseconds = 0
            delayed = later
            phase = .delaying
            service.loop.setDeadline(self, milliseconds: answer.delayMilliseconds)
            return
        }
        sendHead(answer, framing: answer.framing(for: head.version))
        phase = .flushing
        if head.method == .head { return }
        switch answer.body {
        case .bytes(let bytes):
            if framing != .none { output.append(bytes) }
        case .pattern(let count, _):
            patternRemaining = count
            phase = .producing
        case .events(let subject):
            events = EventStream(subject: subject, due: service.loop.now)
            phase = .streamingEvents
            sendEvent()
        }
    }

    /// Answers a request that cannot be read to its end: where the next one would begin is unknown.
    func refuse(_ status: Int, _ word: String) {
        isPersistent = false
        // Half an answer has left already: it is cut, so that nobody takes it for a whole one.
        if phase == .echoing && echoHasBegun {
            close()
            return
        }
        delayed = nil
        send(.problem(status, word))
    }

    private func sendHead(_ answer: Answer, framing: BodyFraming) {
        self.framing = framing
        if framing == .untilClose || !requestBody.isComplete && phase != .echoing { isPersistent = false }
        service.buffers.supply(&output)
        answer.writeHead(
            to: &output, framing: framing, date: service.date,
            connection: isPersistent ? (head.version == .http10 ? "keep-alive" : nil) : "close")
    }

    // MARK: - Echo

    /// Whether the head of the echo has been written.
    private var echoHasBegun: Bool { delayed == nil }

    /// The head waits for the first piece of the body: a client that has asked for `100 Continue` might take
    /// an early 200 for the end of the matter.
    func beginEcho(contentType: String?) {
        delayed = Answer(
            status: 200, fields: [("Cache-Control", "no-store")],
            contentType: contentType ?? "application/octet-stream")
        phase = .echoing
    }

    private func writeEchoHead() {
        guard let answer = delayed else { return }
        delayed = nil
        sendHead(answer, framing: Answer.openFraming(for: head.version))
    }

    /// Sends back what has arrived, as far as the client takes it.
    func echo() -> Bool {
        if output.count >= Self.outputBytesMax { return false }
        let isWhole = readBody { connection, content in
            connection.writeEchoHead()
            BodyWriter.append(content, framing: connection.framing, to: &connection.output)
            return connection.output.count < Self.outputBytesMax
        }
        // After a violation the refusal is on its way, or the connection has gone.
        if isClosed || phase != .echoing { return !isClosed }
        guard isWhole ?? requestBody.isComplete else { return false }
        writeEchoHead()
        BodyWriter.appendEnd(framing: framing, to: &output)
        phase = .flushing
        return true
    }

    // MARK: - Bytes

    /// Fills the buffer once for each time that the client can take more, so that no client keeps the loop to
    /// itself.
    func produce() -> Bool {
        while patternRemaining > 0 && output.count < Self.outputBytesMax {
            let count = Int(min(patternRemaining, UInt64(Self.pattern.count)))
            BodyWriter.append(Self.pattern.span.extracting(0..<count), framing: framing, to: &output)
            patternRemaining -= UInt64(count)
        }
        if patternRemaining > 0 { return false }
        BodyWriter.appendEnd(framing: framing, to: &output)
        phase = .flushing
        return true
    }

    // MARK: - Events

    /// Sends the event that is due and arranges for the next.
    func sendEvent() {
        // A client that has not taken this much has stopped reading.
        if output.count >= Self.outputBytesMax {
            close()
            return
        }
        events.number += 1
        var data = JSONWriter()
        data.beginObject()
        data.number("number", events.number)
        if let subject = events.subject { data.string("subject", subject) } else { data.null("subject") }
        data.endObject()
        var event = Array("id: \(events.number)\ndata: ".utf8)
        event += data.bytes
        event += Array("\n\n".utf8)
        BodyWriter.append(event.span, framing: framing, to: &output)
        let now = service.loop.now
        events.due = max(events.due.advanced(byMilliseconds: Self.eventMilliseconds), now)
        service.loop.setDeadline(self, milliseconds: events.due.milliseconds - now.milliseconds)
    }

    // MARK: - The socket

    /// Sends what waits, as far as the client takes it.
    func flush() {
        while !output.isEmpty && transport.maySend {
            switch transport.send(from: &output) {
            case .bytes: break
            case .wouldBlock: return
            case .ended, .failed:
                close()
                return
            }
        }
    }

    /// How much of an answer may wait for a slow client.
    private static let outputBytesMax = 64 * 1024
    private static let eventMilliseconds: Int64 = 1_000
    /// The alphabet in lines of 64, so that a cut or a repetition shows.
    private static let pattern: [UInt8] = {
        let line = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+\n".utf8)
        return Array((0..<256).map { _ in line }.joined())
    }()
}
