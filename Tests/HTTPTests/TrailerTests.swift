// Trailer fields: which go on and which do not, who takes them, and how they are written.

import HTTP
import Primitives
import Support
import Testing

@Suite struct TrailerTests {
    @Test(
        "a field that is no more than a remark about the content goes on",
        arguments: [
            "Server-Timing", "grpc-status", "grpc-message", "X-Checksum-SHA256", "Repr-Digest",
            "Content-Digest", "content-digest", "Digest", "ETag", "Signature", "X-Trace", "Authorized",
            "Hosts",
            "X-Sessions", "Sessions", "Ranges", "A", "X-Author",
        ])
    func kept(_ name: String) {
        #expect(trailers("\(name): v\r\n") == "\(name): v\r\n")
    }

    @Test(
        "framing, routing, modifiers, authentication, content and identity never do, in any spelling",
        arguments: [
            "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "TE", "Upgrade",
            "Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded", "X-Forwarded-User", "Forwarded",
            "X-Real-IP", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Via", "Max-Forwards",
            "Cache-Control", "Pragma", "Expect", "Range", "If-Match", "If-None-Match", "If-Range",
            "Authorization", "WWW-Authenticate", "Proxy-Authorization", "Authentication-Info", "Cookie",
            "Set-Cookie", "Content-Type", "Content-Encoding", "Content-Range", "Content-Language",
            "Content-Security-Policy", "Location", "Retry-After", "Vary", "Age", "Expires", "Date",
            "X-Auth-Subject", "X-Auth-Role", "X-Auth-", "Session-Start", "Session-Whatever", "Origin",
            "Sec-Fetch-Site", "Sec-WebSocket-Accept", "Access-Control-Allow-Origin", "X-Request-Id",
            "HTTP2-Settings", "Proxy", "Accept-Encoding",
        ])
    func dropped(_ name: String) {
        let spellings = [
            name, name.lowercased(), name.uppercased(), name.replacing("-", with: "_"),
            name.replacing("-", with: "."),
        ]
        for spelling in spellings {
            #expect(trailers("A: 1\r\n\(spelling): v\r\nB: 2\r\n") == "A: 1\r\nB: 2\r\n")
        }
    }

    @Test("what the configuration names and what Connection names is dropped, and nothing like it")
    func refused() throws {
        var names = [Array("x-role".utf8)]
        try withHead("Connection: close, X_Hop\r\n") { block in names += Persistence.fieldsNamed(by: block) }
        #expect(names.count == 2)
        let fields = "X-Role: 1\r\nX_Role: 2\r\nX-Roles: 3\r\nx-hop: 4\r\nX-Hops: 5\r\n"
        #expect(trailers(fields, refused: names) == "X-Roles: 3\r\nX-Hops: 5\r\n")
        #expect(trailers(fields) == fields)
    }

    @Test("a body without trailer fields has none, whatever its framing")
    func none() {
        #expect(trailers("") == "")
        #expect(BodyReader(.length(0)).trailers == [])
        #expect(BodyReader(.untilClose).trailers == [])
    }

    @Test("trailer fields are written behind the last chunk, and nowhere else")
    func written() {
        let lines = Array("A: 1\r\nB: 2\r\n".utf8)
        #expect(end(.chunked, lines) == Array("0\r\n".utf8) + lines + Array("\r\n".utf8))
        #expect(end(.chunked, []) == Array("0\r\n\r\n".utf8))
        for framing in [.length(1), .untilClose, .none] as [BodyFraming] {
            #expect(end(framing, lines) == [])
        }
    }

    @Test("what is kept is well-formed: written, it reads back as the same")
    func roundTrip() {
        var random = SeededGenerator(seed: 3)
        let letters = Array("aX-_: \t1\u{e9}\r\n".utf8)
        for _ in 0..<500 {
            var message = Array("0\r\nX:".utf8)
            for _ in 0..<random.below(30) { message.append(letters[random.below(letters.count)]) }
            message += Array("\r\n\r\n".utf8)
            let verdict = EverySplit.body(message, framing: .chunked)
            #expect(verdict.disagreements == [])
            guard case .accepted(let body) = verdict.outcome else { continue }
            let again = end(.chunked, body.trailers)
            let expected = ReadBody(content: [], trailers: body.trailers, rest: [])
            #expect(EverySplit.body(again, framing: .chunked).outcome == .accepted(expected))
        }
    }

    // MARK: - Who takes them

    @Test(
        "a client that says so takes trailer fields",
        arguments: [
            "TE: trailers\r\n", "TE: Trailers\r\n", "TE: gzip;q=0.5, trailers\r\n", "te:trailers , gzip\r\n",
            "TE: gzip\r\nTE: trailers\r\n", "TE: trailers;q=1\r\n", "TE: trailers ; Q=0.001\r\n",
        ])
    func takes(_ fields: String) throws {
        try withHead(fields) { block in
            let asReceived = block.acceptsTrailers
            Persistence.removeHopByHop(&block)
            let asForwarded = block.acceptsTrailers
            #expect(asReceived && asForwarded)
        }
    }

    @Test(
        "one that does not, or says no, gets none",
        arguments: [
            "", "TE: \r\n", "TE: gzip\r\n", "TE: trailers;q=0\r\n", "TE: trailers;q=0.000\r\n",
            "TE: trailers; q=0.\r\n", "TE: trailers;q=\r\n", "TE: trailers;q=x\r\n", "TE: trailers;x=1\r\n",
            "TE: trailersx\r\n", "TE: xtrailers\r\n", "TE: gzip trailers\r\n", "TE: trailers gzip\r\n",
            "T_E: trailers\r\n", "X-TE: trailers\r\n", "Trailer: trailers\r\n",
        ])
    func takesNone(_ fields: String) throws {
        try withHead(fields) { block in
            let takes = block.acceptsTrailers
            #expect(!takes)
        }
    }

    private func trailers(_ fields: String, refused: [[UInt8]] = []) -> String? {
        var reader = BodyReader(.chunked, refusedTrailers: refused)
        let message = Array("1\r\nx\r\n0\r\n\(fields)\r\n".utf8)
        var start = 0
        while !reader.isComplete {
            let step = try? reader.step(message.span, from: start, limits: MessageLimits())
            guard let step, step.consumed > start else { return nil }
            start = step.consumed
        }
        return String(decoding: reader.trailers, as: UTF8.self)
    }

    private func end(_ framing: BodyFraming, _ trailers: [UInt8]) -> [UInt8] {
        var output = ByteBuffer()
        BodyWriter.appendEnd(framing: framing, trailers: trailers, to: &output)
        return output.withReadable { [UInt8](copying: $0) }
    }
}
