// Answers going out: the gateway's own, and the way of an upstream's response to the client.

import Configuration
import Observability
import HTTP
import Network
import Primitives
import Sessions

extension DownstreamConnection {
    // MARK: - The gateway's own answers

    /// Answers the exchange with a failure; when part of an answer has left already, the connection is cut
    /// instead, so that the client cannot take a half for a whole.
    func refuse(_ error: ProxyError) {
        if exchange.hasResponse && exchange.hasSent {
            abort(error)
            return
        }
        dropUpstream()
        // An answer that was begun and has not left is taken back.
        if exchange.hasResponse { output.removeAll() }
        exchange.reason = error.word
        switch error {
        case .violation, .headTimeout, .bodyTimeout, .clientTooSlow, .bodyTooLarge, .shuttingDown:
            exchange.isPersistent = false
        default: break
        }
        respond(.failure(error))
    }

    /// Answers the exchange without an upstream.
    func respond(_ response: LocalResponse) {
        // A body that nobody has read stands between this request and the next.
        if !exchange.requestIsComplete { exchange.isPersistent = false }
        exchange.hasResponse = true
        exchange.status = response.status
        let omitsBody = head.method == .head
        exchange.responseBytes = omitsBody ? 0 : UInt64(response.body.count)
        shard.buffers.supply(&output)
        var response = response
        response.lines += crossOriginLines
        if tls != nil { response.lines += shard.runtime.strictTransportLine }
        response.write(to: &output, date: shard.date, omitsBody: omitsBody, connection: connectionField())
        exchange.phase = .flushing
        pump()
    }

    func respond(_ answer: PreflightAnswer) {
        exchange.isPreflight = true
        respond(LocalResponse(status: answer.status, lines: answer.fields))
    }

    /// What lets a page of another origin read the answer; also a refusal, which it could not tell from a
    /// broken network otherwise.
    private var crossOriginLines: [UInt8] {
        let refreshOrigins = exchange.isRefresh ? shard.runtime.policy.refreshOrigins(for: head) : nil
        guard let crossOrigin = exchange.route?.crossOrigin ?? refreshOrigins, !exchange.isPreflight else {
            return []
        }
        var lines = ByteBuffer()
        crossOrigin.writeFields(for: head, to: &lines)
        return lines.withReadable { [UInt8](copying: $0) }
    }

    /// RFC 9110 §15.5.6: a 405 says which methods there are.
    func respondMethodNotAllowed(_ allow: String) {
        let error = ProxyError.methodNotAllowed
        exchange.reason = error.word
        respond(.failure(error, allow: allow))
    }

    /// What the answer says about the connection (RFC 9112 §9.6; an HTTP/1.0 client must be told to stay).
    private func connectionField() -> StaticString? {
        if !shard.keepsConnections { exchange.isPersistent = false }
        if !exchange.isPersistent { return "close" }
        return head.version == .http10 ? "keep-alive" : nil
    }

    // MARK: - An upstream's answer

    /// Whether more of the answer can be taken: when the client reads slowly, the upstream is made to wait.
    var acceptsContent: Bool { output.count < Self.outputBytesMax }

    /// Passes an interim response on (RFC 9110 §15.2); an HTTP/1.0 client does not know them.
    func sendInterim(_ response: borrowing ResponseHead) {
        if head.version == .http10 { return }
        shard.buffers.supply(&output)
        ResponseWriting.write(
            response, date: nil, cookies: [], connection: nil, isChunked: false, crossOrigin: nil,
            request: head,
            to: &output)
        flush()
    }

    /// Starts the answer with an upstream's head, whose hop-by-hop and session fields are gone.
    ///
    /// - Parameter cookies: whole Set-Cookie values of ours.
    func sendHead(_ response: borrowing ResponseHead, cookies: [String]) {
        if !exchange.requestIsComplete { exchange.isPersistent = false }
        exchange.hasResponse = true
        exchange.status = response.status
        var framing = response.framing
        if framing == .untilClose || framing == .chunked {
            // RFC 9112 §7.1: an HTTP/1.0 client cannot take the chunked coding off.
            framing = head.version == .http11 ? .chunked : .untilClose
            if framing == .untilClose { exchange.isPersistent = false }
        }
        exchange.responseFraming = framing
        shard.buffers.supply(&output)
        // RFC 9110 §6.6.1: who forwards a response without Date MUST add it.
        let date = response.block.first(.date) == nil ? shard.date : nil
        ResponseWriting.write(
            response, date: date, cookies: cookies, connection: connectionField(),
            isChunked: framing == .chunked, crossOrigin: exchange.route?.crossOrigin,
            strictTransport: tls == nil ? [] : shard.runtime.strictTransportLine, request: head, to: &output)
        if response.isEventStream {
            exchange.isEventStream = true
            bindStream()
        }
    }

    /// Answers that HTTP has ended on this connection (RFC 9110 §15.2.2).
    func sendSwitch(_ response: borrowing ResponseHead) {
        exchange.hasResponse = true
        exchange.status = 101
        exchange.isPersistent = false
        shard.buffers.supply(&output)
        ResponseWriting.write(
            response, date: nil, cookies: [], connection: "Upgrade\r\nUpgrade: websocket", isChunked: false,
            crossOrigin: nil, request: head, to: &output)
    }

    /// Adds a piece of the answer's body.
    func sendContent(_ content: Span<UInt8>) {
        exchange.responseBytes += UInt64(content.count)
        var sent = 0
        // A large piece with nothing in front of it goes straight out: a copy of a gigabyte costs a fifth of
        // what its sending does.
        if content.count >= Self.directBytesMin, output.isEmpty, exchange.responseFraming != .chunked {
            sent = transport.send(content)
            exchange.pace.moved(sent, shard.loop.now)
            exchange.hasSent = true
        }
        BodyWriter.append(
            content.extracting(sent..<content.count), framing: exchange.responseFraming, to: &output)
    }

    /// The answer is complete; the upstream has let go of the exchange.
    func endResponse() {
        let trailers = exchange.wantsTrailers ? exchange.upstream?.reader.trailers ?? [] : []
        BodyWriter.appendEnd(framing: exchange.responseFraming, trailers: trailers, to: &output)
        exchange.upstream = nil
        exchange.phase = .flushing
        pump()
    }

    /// Lets go of the upstream: its answer is not wanted any more.
    func dropUpstream() {
        if exchange.isWaiting { exchange.pool?.leaveQueue(self) }
        let upstream = exchange.upstream
        exchange.upstream = nil
        upstream?.abandon()
    }

    /// The upstream failed. Where nothing has been answered yet, the failure is the answer.
    func upstreamFailed(_ error: ProxyError) {
        exchange.upstream = nil
        refuse(error)
    }

    // MARK: - The socket

    /// Sends what waits, as far as the client takes it.
    func flush() {
        while !output.isEmpty && transport.maySend {
            switch transport.send(from: &output) {
            case .bytes(let count):
                exchange.hasSent = true
                exchange.pace.moved(count, shard.loop.now)
                if exchange.phase == .relaying || exchange.phase == .tunnelling {
                    exchange.upstream?.resumeResponse()
                }
            case .wouldBlock: break
            case .ended, .failed:
                abort(.clientClosed)
                return
            }
        }
        // Also when an upstream's event brought us here: a client that reads nothing has no event of its own.
        if !output.isEmpty {
            exchange.pace.wait(shard.loop.now)
            shard.loop.setDeadline(self, milliseconds: shard.limits.bodyTimeoutMilliseconds)
        }
    }

    /// How much of an answer may wait for a slow client.
    static let outputBytesMax = 64 * 1024
    /// Smaller pieces are gathered.
    static let directBytesMin = 8 * 1024
}

/// The head of an upstream's response as the client gets it.
private enum ResponseWriting {
    static func write(
        _ response: borrowing ResponseHead, date: [UInt8]?, cookies: [String], connection: StaticString?,
        isChunked: Bool, crossOrigin: CrossOrigin?, strictTransport: [UInt8] = [],
        request: borrowing RequestHead,
        to output: inout ByteBuffer
    ) {
        output.append("HTTP/1.1 ")
        output.append(decimal: UInt64(response.status))
        output.append(" ")
        response.block.withBytes { bytes in output.append(bytes, response.reason) }
        output.append("\r\n")
        response.block.write(to: &output)
        if let date {
            output.append("Date: ")
            output.append(date)
            output.append("\r\n")
        }
        for cookie in cookies {
            output.append("Set-Cookie: ")
            output.append(text: cookie)
            output.append("\r\n")
        }
        if let crossOrigin { crossOrigin.writeFields(for: request, to: &output) }
        output.append(strictTransport)
        if !cookies.isEmpty { output.append("Cache-Control: no-store\r\n") }
        if let connection {
            output.append("Connection: ")
            output.append(connection)
            output.append("\r\n")
        }
        output.append(isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
    }
}
