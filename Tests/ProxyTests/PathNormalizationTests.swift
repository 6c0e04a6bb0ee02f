// Paths: what is normalised, what is refused, and that normalising is done once and for all.

import Primitives
import Support
import Testing

@testable import Proxy

@Suite("Path normalisation")
struct PathNormalizationTests {
    @Test(
        "a path in normal form stays as it is",
        arguments: ["/", "/a", "/a/b/", "/a.b/..c/d..", "/a;v=1/b", "/a-_~!$&'()*+,;=:@b"])
    func unchanged(_ path: String) {
        #expect(normalise(path) == path)
    }

    @Test(
        "what everybody reads alike is written in one way",
        arguments: [
            ("/%61dmin", "/admin"), ("/%7Euser", "/~user"), ("/%7euser", "/~user"), ("/a%3fb", "/a%3Fb"),
            ("/a%20b", "/a%20b"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/b/..", "/a/"), ("/a/.", "/a/"),
            ("//a///b", "/a/b"), ("/%2e/a", "/a"), ("/a/%2e%2e/b", "/b"), ("/.", "/"), ("/a/..", "/"),
            ("/caf%c3%a9", "/caf%C3%A9"), ("/a%25", "/a%25"), ("/100%25-off", "/100%25-off"),
        ])
    func rewritten(_ path: String, _ expected: String) {
        #expect(normalise(path) == expected)
    }

    @Test(
        "what readers read differently is refused",
        arguments: [
            "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a%00b", "/%252e%252e/a", "/a%2541", "/%25%61%62", "/..",
            "/../a",
            "/a/../../b",
            "/..;/a", "/a/..;x=1/b", "/.;/a", "/a%", "/a%2", "/a%zz", "/%2e%2e;/a",
        ])
    func refused(_ path: String) {
        #expect(normalise(path) == nil)
    }

    @Test("normalising twice changes nothing more, whatever the path")
    func idempotent() {
        var generator = SeededGenerator(seed: 20_261_121)
        let pieces = ["a", "b", "/", "//", ".", "..", "%2e", "%61", "%7E", "%3f", "%25", ";", "~", "%C3%A9"]
        for _ in 0..<5_000 {
            let count = Int(generator.next() % 12)
            let path =
                "/" + (0..<count).map { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }.joined()
            guard let once = normalise(path) else { continue }
            #expect(normalise(once) == once, "from \(path)")
            let segments = once.split(separator: "/", omittingEmptySubsequences: false)
            #expect(!segments.contains(".") && !segments.contains(".."), "from \(path)")
        }
    }

    private func normalise(_ path: String) -> String? {
        var scratch: [UInt8] = []
        switch PathNormalization.normalise(Array(path.utf8).span, into: &scratch) {
        case .unchanged: return path
        case .rewritten: return String(decoding: scratch, as: UTF8.self)
        case .refused: return nil
        }
    }
}
