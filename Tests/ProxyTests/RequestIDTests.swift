// Request ids: which of a client's is kept, and what ours are like.

import HTTP
import Primitives
import Support
import Testing

@testable import Proxy

@Suite("Request ids")
struct RequestIDTests {
    @Test(
        "a client's id is kept when it is one",
        arguments: [
            "x", "7b0a2c1e-8e1f-4c59-9c0a-3d0f2f6f6a11", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a.b_c~d+e/f=g:h-i",
            "0", String(repeating: "a", count: 128),
        ])
    func kept(_ value: String) throws {
        #expect(try id("X-Request-Id: \(value)\r\n") == value)
        #expect(try id("x-request-id:\t\(value) \r\n") == value)
    }

    @Test(
        "what is none gets another",
        arguments: [
            "", "X-Request-Id: \r\n", "X-Request-Id: a b\r\n", "X-Request-Id: a,b\r\n",
            "X-Request-Id: a\"b\r\n", "X-Request-Id: a%20\r\n", "X-Request-Id: ${jndi}\r\n",
            "X-Request-Id: <b>\r\n", "X-Request-Id: \u{e9}\r\n", "X-Request-Id: a\tb\r\n",
            "X-Request-Id: \(String(repeating: "a", count: 129))\r\n",
            "X-Request-Id: a\r\nX-Request-Id: a\r\n", "X-Request-Id: a\r\nX-Request-Id:\r\n",
            "X_Request_Id: a\r\n", "X-Request-Ids: a\r\n",
        ])
    func replaced(_ fields: String) throws {
        let made = try id(fields)
        #expect(made.utf8.count == 32)
        #expect(made.utf8.allSatisfy { ASCII.isDigit($0) || (97...102).contains($0) })
    }

    @Test("what goes upstream is one line, in whatever spellings the client sent others")
    func line() throws {
        for fields in [
            "X-Request-Id: a\r\n", "X-Request-Id: a\r\nX-Request-Id: b\r\nX_Request_Id: c\r\n",
            "X.Request.Id: a\r\n",
        ] {
            var head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
            var mint = RequestIDMint()
            let id = mint.id(of: head.block, isTrusted: true)
            head.block.removeAliases(RequestID.fields)
            var output = ByteBuffer()
            head.block.write(to: &output)
            id.writeLine(head.block, to: &output)
            let written = output.withReadable { String(lossy: $0) }
            let lines = written.split(separator: "\r\n")
            #expect(lines.count == 2)
            #expect(lines[0] == "Host: h")
            #expect(lines[1].hasPrefix("X-Request-Id: "))
            #expect(written.hasSuffix("\r\n"))
            if fields == "X-Request-Id: a\r\n" { #expect(lines[1] == "X-Request-Id: a") }
        }
    }

    @Test("ids of one mint are all different under one prefix, and mints differ")
    func unique() throws {
        let head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        var random = SeededGenerator(seed: 1)
        var mints = [RequestIDMint(using: &random), RequestIDMint(using: &random), RequestIDMint()]
        var (prefixes, halves): (Set<UInt64>, Set<UInt64>) = ([], [])
        for index in mints.indices {
            for _ in 0..<10_000 {
                guard case .made(let high, let low) = mints[index].id(of: head.block, isTrusted: true) else {
                    Issue.record("there is none to keep")
                    return
                }
                prefixes.insert(high)
                halves.insert(low)
            }
        }
        #expect(prefixes.count == 3)
        #expect(halves.count == 30_000)
    }

    @Test("neighbouring ids have nothing in common that tells how far apart they are")
    func unreadable() throws {
        let head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        var random = SeededGenerator(seed: 2)
        var mint = RequestIDMint(using: &random)
        var last: UInt64 = 0
        var (differences, sums): (Set<UInt64>, Int) = ([], 0)
        for _ in 0..<1000 {
            guard case .made(_, let low) = mint.id(of: head.block, isTrusted: true) else { continue }
            differences.insert(low &- last)
            sums += (low ^ last).nonzeroBitCount
            last = low
        }
        #expect(differences.count == 1000)
        #expect((30_000...34_000).contains(sums), "half of 64 bits change each time")
    }

    private func id(_ fields: String) throws -> String {
        let head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        var mint = RequestIDMint()
        let id = mint.id(of: head.block, isTrusted: true)
        var output = ByteBuffer()
        id.write(head.block, to: &output)
        return output.withReadable { String(lossy: $0) }
    }
}
