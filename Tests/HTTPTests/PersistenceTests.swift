// What is for one hop only: removed before a message goes on, but never a security field on a peer's word.

import HTTP
import Primitives
import Support
import Testing

@Suite struct PersistenceTests {
    @Test(
        "a hop-by-hop field is removed although Connection does not name it",
        arguments: [
            "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Proxy-Authenticate",
            "Proxy-Authorization", "Proxy", "proxy",
        ])
    func hopByHop(_ name: String) throws {
        try withHead("\(name): v\r\nX-Kept: v\r\n") { block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host", "X-Kept"])
        }
    }

    @Test("the coding of a chunked message stays behind: the next hop has its own framing")
    func coding() throws {
        try withHead("Transfer-Encoding: chunked\r\n") { block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host"])
        }
    }

    @Test("the fields that Connection names are removed, in any case of letters")
    func named() throws {
        try withHead(
            "Connection: host, X-FOO ,\tx-bar\r\nX-Foo: 1\r\nx-bar: 2\r\nX-Foobar: 3\r\nx-foo: 4\r\n"
        ) { block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host", "X-Foobar"])
        }
    }

    @Test("several Connection lines are one list, and empty members name nothing")
    func lists() throws {
        try withHead(
            "Connection: ,, x-a ,\r\nConnection:\r\nconnection: x-b,close\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"
        ) {
            block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host", "X-C"])
        }
    }

    @Test("close and keep-alive name no field")
    func options() throws {
        try withHead("Connection: close, keep-alive\r\nClose: 1\r\nX: 2\r\n") { block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host", "Close", "X"])
        }
    }

    @Test(
        "a field that carries identity or routing stays, although Connection names it (CVE-2022-31813)",
        arguments: [
            "Authorization", "Cookie", "Set-Cookie", "Cache-Control", "Origin", "Session-Start",
            "Session-End",
        ])
    func protected(_ name: String) throws {
        try withHead("Connection: \(name.lowercased()), host, x-foo\r\n\(name): v\r\nX-Foo: v\r\n") { block in
            Persistence.removeHopByHop(&block)
            #expect(names(block) == ["Host", name])
        }
    }

    @Test("a length stays, although Connection names it: without it the body would be another request")
    func length() throws {
        let message = "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\n"
        var head = RequestHead()
        _ = try RequestParser.parse(Array(message.utf8).span, into: &head, limits: MessageLimits())
        Persistence.removeHopByHop(&head.block)
        #expect(names(head.block) == ["Host", "Content-Length"])
        #expect(head.framing == .length(5))
    }

    @Test("what is removed leaves no gap in what is written")
    func written() throws {
        try withHead("A: 1\r\nConnection: b, close\r\nB: 2\r\nC:3\r\nKeep-Alive: 4\r\nD: 5\r\n") { block in
            Persistence.removeHopByHop(&block)
            #expect(block.written() == Array("Host: a\r\nA: 1\r\nC: 3\r\nD: 5\r\n".utf8))
        }
    }

    @Test(
        "a method knows whether a second sending does harm", arguments: [Method.get, .head, .options, .trace])
    func safe(_ method: Method) {
        #expect(method.isSafe && method.isIdempotent)
        #expect(!Method.put.isSafe && Method.put.isIdempotent && Method.delete.isIdempotent)
        #expect(!Method.post.isIdempotent && !Method.patch.isIdempotent && !Method.other.isIdempotent)
    }
}
