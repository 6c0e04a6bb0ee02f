// What counts the hops of a request: Via, which shows that it goes round, and Max-Forwards, which says how
// far it may go.

import HTTP
import Primitives
import Testing

@testable import Proxy

@Suite("Via")
struct ViaTests {
    @Test("ten passes through a gateway are a loop, and nine are none, however the lines are split")
    func loop() throws {
        #expect(try isLoop([via(10)]))
        #expect(try !isLoop([via(9)]))
        #expect(try isLoop([via(4), via(6)]))
        #expect(try !isLoop([via(4), via(5)]))
        #expect(try isLoop(Array(repeating: via(1), count: 10)))
        #expect(try !isLoop([]))
        #expect(try !isLoop([""]))
    }

    @Test("other proxies' hops are no loop, however many they are")
    func others() throws {
        let others = Array(repeating: "1.1 proxy", count: 50).joined(separator: ", ")
        #expect(try !isLoop([others]))
        #expect(try !isLoop([others, via(9)]))
        #expect(try isLoop([others, via(10)]))
        #expect(try !isLoop([Array(repeating: "1.1 auth-gatewa", count: 10).joined(separator: ", ")]))
    }

    @Test("the name in another field says nothing of hops")
    func anotherField() throws {
        let head = try Heads.request("GET / HTTP/1.1\r\nHost: h\r\nX-Via: \(via(10))\r\n\r\n")
        let isLoop = Via.isLoop(head)
        #expect(!isLoop)
    }

    @Test("what is written is counted", arguments: [Version.http10, .http11])
    func written(_ version: Version) throws {
        var output = ByteBuffer()
        Via.write(version, to: &output)
        let line = output.withReadable { String(lossy: $0) }
        #expect(line == "Via: \(version == .http10 ? "1.0" : "1.1") auth-gateway\r\n")
        let lines = String(repeating: line, count: 10)
        let isLoop = Via.isLoop(try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n"))
        #expect(isLoop)
    }

    private func via(_ passes: Int) -> String {
        Array(repeating: "1.1 auth-gateway", count: passes).joined(separator: ", ")
    }

    private func isLoop(_ lines: [String]) throws -> Bool {
        let fields = lines.map { "Via: \($0)\r\n" }.joined()
        return Via.isLoop(try Heads.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n"))
    }
}

@Suite("Max-Forwards")
struct MaxForwardsTests {
    @Test("a number is read", arguments: [("0", 0), ("1", 1), ("007", 7), ("10", 10)] as [(String, UInt64)])
    func number(_ text: String, _ number: UInt64) throws {
        #expect(try read(text) == number)
    }

    @Test(
        "what is no number is no field",
        arguments: ["", "-1", "+1", "1.0", "0x1", "1 2", "1,2", "one", "\u{0661}"])
    func none(_ text: String) throws {
        #expect(try read(text) == nil)
        #expect(try read("1") == 1)
    }

    @Test("the longest number overflows nothing, and a longer one is none")
    func longest() throws {
        let longest = String(repeating: "9", count: 18)
        #expect(try read(longest) == 999_999_999_999_999_999)
        #expect(try read("0" + longest) == nil)
        #expect(try read(String(repeating: "9", count: 2_000)) == nil)
    }

    @Test("it means something for OPTIONS only", arguments: ["GET", "HEAD", "POST", "options"])
    func otherMethods(_ method: String) throws {
        #expect(try read("0", method: method) == nil)
        #expect(try read("0") == 0)
    }

    @Test("without the field there is no limit")
    func absent() throws {
        let number = MaxForwards.read(try Heads.request("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n"))
        #expect(number == nil)
    }

    private func read(_ value: String, method: String = "OPTIONS") throws -> UInt64? {
        let text = "\(method) / HTTP/1.1\r\nHost: h\r\nMax-Forwards: \(value)\r\n\r\n"
        return MaxForwards.read(try Heads.request(text))
    }
}
