// The gateway's own requests over real sockets: what is asked, what comes of each way to answer, and that
// `done` is called exactly once.

import Dispatch
import Foundation
import Network
import Primitives
import Support
import TLS
import Testing

@testable import Proxy

@Suite("Fetch")
struct FetchTests {
    private static let request = Fetch.request(
        "GET", "/keys?v=2", authority: Array("login.test:8080".utf8), agent: "test",
        accept: "application/json")

    @Test("the request is one that every server understands")
    func request() {
        #expect(
            String(decoding: Self.request, as: UTF8.self)
                == "GET /keys?v=2 HTTP/1.1\r\nHost: login.test:8080\r\nUser-Agent: test\r\n"
                + "Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n")
        let probe = Fetch.request("GET", "/", authority: Array("a".utf8), agent: "probe")
        #expect(
            String(decoding: probe, as: UTF8.self)
                == "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: probe\r\nConnection: close\r\n\r\n")
    }

    @Test(
        "an answer of each framing arrives, also when it comes in two pieces",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ])
    func answers(_ text: String) throws {
        let bytes = Array(text.utf8)
        for boundary in stride(from: 0, to: bytes.count, by: 7) {
            let server = try AnsweringServer([Array(bytes[..<boundary]), Array(bytes[boundary...])])
            defer { server.stop() }
            #expect(try server.outcome() == "200 hello", "cut at \(boundary)")
            #expect(server.received == Self.request)
        }
    }

    @Test("what is no whole answer is a failure, and is said")
    func failures() throws {
        for (pieces, reason) in [
            ([""], "closed without an answer"),
            (["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"], "closed without an answer"),
            (["HTTP/1.1 200 OK\r\n"], "closed without an answer"),
            (["no HTTP at all\r\n\r\n"], "version"),
            (
                ["HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", String(repeating: "x", count: 101)],
                "an answer of more than 100 bytes"
            ),
        ] {
            let server = try AnsweringServer(pieces.map { Array($0.utf8) })
            defer { server.stop() }
            #expect(try server.outcome() == reason)
        }
    }

    @Test("a server that says nothing, or too little, is given up in time")
    func silence() throws {
        for pieces in [[], [Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel".utf8)]] {
            let server = try AnsweringServer(pieces, closes: false)
            defer { server.stop() }
            let began = Clock.monotonic
            #expect(try server.outcome(timeoutMilliseconds: 150) == "no answer in time")
            #expect(Clock.monotonic.milliseconds - began.milliseconds < 5_000)
        }
    }

    @Test("a connection that is not established in its part of the time is given up")
    func noConnection() throws {
        let certificates = try TestCertificates.shared.get()
        let trust = UpstreamTrust.authorities(certificates.root.pem)
        let server = try AnsweringServer([], closes: false)
        defer { server.stop() }
        server.client = try ClientTLS(host: "one.test", trust: trust)
        let began = Clock.monotonic
        #expect(try server.outcome(connectMilliseconds: 150) == "no connection in time")
        #expect(Clock.monotonic.milliseconds - began.milliseconds < 5_000)
    }

    @Test("once it is established, an answer has the whole time")
    func slowAnswer() throws {
        let server = try AnsweringServer([Array("HTTP/1.1 204 X\r\n\r\n".utf8)], delayMilliseconds: 400)
        defer { server.stop() }
        #expect(try server.outcome(connectMilliseconds: 150) == "204 ")
    }

    @Test("where nobody listens, that is said")
    func refused() throws {
        let server = try AnsweringServer([])
        defer { server.stop() }
        let refusal = try server.outcome(from: AnsweringServer.freeAddress())
        #expect(refusal.lowercased() == "connection refused")
    }

    @Test("a fetch that is stopped says nothing any more")
    func stopped() throws {
        let server = try AnsweringServer([Array("HTTP/1.1 204 X\r\n\r\n".utf8)])
        defer { server.stop() }
        #expect(try server.stopAtOnce() == nil)
    }
}

/// A loop with a listener that answers whoever asks with some pieces, one by one.
private final class AnsweringServer {
    private let queue = DispatchQueue(label: "answering")
    private let loop: EventLoop
    private let mailbox: Mailbox<Int>
    private let listener: Listener
    private var acceptor: Acceptor?
    private let pieces: [[UInt8]]
    private let closes: Bool
    private let delayMilliseconds: Int
    /// Speaks TLS with the server, which does not.
    var client: ClientTLS?
    private var connection: AnsweringConnection?
    private let ended = DispatchSemaphore(value: 0)
    private var outcomes: [String] = []
    private var fetch: Fetch?

    var received: [UInt8] { queue.sync { connection?.received ?? [] } }

    init(_ pieces: [[UInt8]], closes: Bool = true, delayMilliseconds: Int = 0) throws {
        (self.pieces, self.closes, self.delayMilliseconds) = (pieces, closes, delayMilliseconds)
        let queue = queue
        loop = try queue.sync { try EventLoop(queue: queue) }
        mailbox = Mailbox(loop.wakeup)
        listener = try Listener(on: #require(SocketAddress(host: "127.0.0.1", port: 0)))
        queue.sync {
            loop.start(onMessages: { [unowned self] in
                for piece in mailbox.takeAll() { send(piece) }
            })
            acceptor = Acceptor(
                listener, loop: loop,
                deal: { [unowned self] accepted in
                    let connection = AnsweringConnection(Transport(FileDescriptor(accepted.descriptor))) {
                        // The pieces go by the mailbox, so that what went before has been read.
                        [unowned self] in
                        let (queue, mailbox) = (queue, mailbox)
                        queue.asyncAfter(deadline: .now() + .milliseconds(self.delayMilliseconds)) {
                            mailbox.post(0)
                        }
                    }
                    try? loop.add(connection, connection.transport)
                    self.connection = connection
                }, pausing: { Issue.record($0) })
            do throws(SystemError) { try acceptor?.start() } catch { Issue.record(error) }
        }
    }

    private func send(_ index: Int) {
        guard let connection, connection.isRegistered else { return }
        if index < pieces.count {
            connection.send(pieces[index])
            mailbox.post(index + 1)
        } else if closes {
            connection.transport.finishSending()
        }
    }

    /// What a fetch has come to, which it says once.
    func outcome(
        from address: SocketAddress? = nil, timeoutMilliseconds: Int64 = 10_000,
        connectMilliseconds: Int64? = nil
    ) throws -> String {
        try queue.sync { try begin(timeoutMilliseconds, connectMilliseconds, address) }
        #expect(ended.wait(timeout: .now() + .seconds(20)) == .success)
        return queue.sync {
            #expect(outcomes.count == 1)
            return outcomes.first ?? ""
        }
    }

    /// The same of a fetch that has been stopped; nil for nothing.
    func stopAtOnce() throws -> String? {
        try queue.sync {
            try begin(1000, nil, nil)
            fetch?.stop()
        }
        #expect(ended.wait(timeout: .now() + .milliseconds(200)) == .timedOut)
        return queue.sync { outcomes.first }
    }

    private func begin(
        _ timeoutMilliseconds: Int64, _ connectMilliseconds: Int64?, _ address: SocketAddress?
    ) throws {
        let request = Fetch.request(
            "GET", "/keys?v=2", authority: Array("login.test:8080".utf8), agent: "test",
            accept: "application/json")
        let fetch = Fetch(
            try Transport.connecting(to: address ?? listener.address, tls: client?.makeSession()),
            request: request,
            part: .whole(bytesMax: 100),
            timeoutMilliseconds: timeoutMilliseconds, connectMilliseconds: connectMilliseconds, loop: loop
        ) { [unowned self] outcome in
            switch outcome {
            case .answered(let answer):
                outcomes.append("\(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
            case .failed(let reason), .unreachable(let reason): outcomes.append(reason)
            }
            ended.signal()
        }
        try fetch.start()
        self.fetch = fetch
    }

    /// Where nobody listened a moment ago.
    static func freeAddress() throws -> SocketAddress {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        return try Listener(on: address).address
    }

    /// Ends the loop and lets its sources go before their descriptors.
    func stop() {
        queue.sync {
            if let connection, connection.isRegistered { loop.remove(connection) }
            if let fetch, fetch.isRegistered { loop.remove(fetch) }
            acceptor?.stop()
            acceptor = nil
            loop.stop()
        }
        queue.sync {}
    }
}

/// The server's end: tells when the request is there.
private final class AnsweringConnection: EventTarget {
    var transport: Transport
    private(set) var received: [UInt8] = []
    private let asked: () -> Void

    init(_ transport: consuming Transport, asked: @escaping () -> Void) {
        self.transport = transport
        self.asked = asked
    }

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        while transport.mayReceive {
            var buffer = ByteBuffer(capacity: 1024)
            buffer.reserve(1024)
            guard case .bytes = transport.receive(into: &buffer) else { return }
            received += buffer.withReadable { [UInt8](copying: $0) }
            if received.suffix(4) == [13, 10, 13, 10] { asked() }
        }
    }

    func send(_ bytes: [UInt8]) {
        var output = ByteBuffer()
        output.append(bytes)
        if !output.isEmpty { _ = transport.send(from: &output) }
    }
}
