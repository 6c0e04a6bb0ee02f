// Editing a head: which lines go, which spellings go with them, and that what is written is well formed.

import HTTP
import Primitives
import Support
import Testing

@Suite struct HeaderBlockTests {
    @Test("a line is found by its name in any case of letters, and only by its own spelling")
    func known() throws {
        try withHead("content-LENGTH: 5\r\nX-Request-Id: r\r\nX_Real_IP: spoofed\r\n") { block in
            #expect(block.text(.contentLength) == "5")
            #expect(block.text(.xRequestID) == "r")
            #expect(block.first(.xRealIP) == nil)
            #expect(block.count(of: .xRealIP) == 0)
            #expect(block.equals(.host, lowercase: "a") == true)
            #expect(block.equals(.host, lowercase: "b") == false)
            #expect(block.equals(.cookie, lowercase: "") == false)
        }
    }

    @Test("every known name is recognised in lower and in upper case, and not with a letter more")
    func everyName() throws {
        for name in FieldName.allCases where name != .other && name != .host {
            let text = name.lowercase.description
            // These decide about the message; a value that is good for all of them does not exist.
            if [.contentLength, .transferEncoding, .expect].contains(name) { continue }
            for spelling in [text, text.uppercased()] {
                try withHead("\(spelling): v\r\n") { block in #expect(block.text(name) == "v", "\(spelling)")
                }
            }
            for stranger in [text + "x", "x" + text, String(text.dropLast())] where !isKnown(stranger) {
                try withHead("\(stranger): v\r\n") { block in
                    #expect(block.fields[1].alias == .other, "\(stranger)")
                }
            }
        }
    }

    @Test("removal by name takes every line of that name, and leaves its alias")
    func remove() throws {
        try withHead("Cookie: a\r\nX: y\r\ncookie: b\r\nC.ookie: c\r\n") { block in
            block.remove(FieldNameSet([.cookie]))
            #expect(block.first(.cookie) == nil)
            #expect(names(block) == ["Host", "X", "C.ookie"])
        }
        try withHead("X: y\r\n") { block in
            block.remove(FieldNameSet([.cookie, .other]))
            #expect(names(block) == ["Host", "X"])
        }
    }

    @Test(
        "removal of aliases takes whatever an upstream may take for the name",
        arguments: [
            "X-Auth-Subject", "x-auth-subject", "X_Auth_Subject", "X.Auth.Subject", "X-Auth_Subject",
            "x~auth!subject", "X_AUTH-SUBJECT",
        ])
    func aliases(_ spelling: String) throws {
        try withHead("\(spelling): root\r\nX-Auth-Subjec: kept\r\nXAuthSubject: kept\r\n") { block in
            block.removeAliases(FieldNameSet([.xAuthSubject]))
            #expect(names(block) == ["Host", "X-Auth-Subjec", "XAuthSubject"])
        }
    }

    @Test(
        "an imitation of a known name is removed, and the name itself stays",
        arguments: ["Content_Type", "Content.Type", "content~type"])
    func imitations(_ spelling: String) throws {
        try withHead("Content-Type: real\r\n\(spelling): false\r\nMy_Own_Field: kept\r\n") { block in
            block.removeImitations()
            #expect(block.text(.contentType) == "real")
            #expect(names(block) == ["Host", "Content-Type", "My_Own_Field"])
        }
    }

    @Test(
        "an imitated length or coding frames nothing, and leaves before an upstream can believe it",
        arguments: [
            "Content_Length: 5", "Content.Length: 5", "Transfer_Encoding: chunked",
            "transfer.encoding: chunked",
        ])
    func imitatedFraming(_ line: String) throws {
        try withHead(line + "\r\n") { block in
            block.removeImitations()
            #expect(names(block) == ["Host"])
        }
    }

    @Test("removal of a folded name takes names that nobody knows")
    func folded() throws {
        try withHead("X-Tenant: a\r\nx_tenant: b\r\nX.TENANT: c\r\nX-Tenants: kept\r\nXTenant: kept\r\n") {
            block in
            block.removeFolded(FieldFolding.folded("X-Tenant"))
            #expect(names(block) == ["Host", "X-Tenants", "XTenant"])
        }
    }

    @Test("lines in canonical form are written as they came, all others are brought into it")
    func canonical() throws {
        let lines = "A: b\r\nC:d\r\nE:  f\r\nG: h \t\r\nI:\tj\r\nK:\r\nL: \r\nM: n\r\n"
        try withHead(lines) { block in
            let text = String(decoding: block.written(), as: UTF8.self)
            #expect(text == "Host: a\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\nI: j\r\nK: \r\nL: \r\nM: n\r\n")
        }
    }

    @Test("whatever lines are removed, exactly the others are written, in their order")
    func everyRemoval() throws {
        let lines = ["A: 1", "B:2", "C: 3", "D: 4", "E:  5", "F: 6"]
        for mask in 0..<(1 << lines.count) {
            try withHead(lines.map { $0 + "\r\n" }.joined()) { block in
                block.remove(at: 0)
                for index in lines.indices where mask >> index & 1 == 1 { block.remove(at: index + 1) }
                let kept = lines.indices.filter { mask >> $0 & 1 == 0 }
                let expected = kept.map { "\(lines[$0].prefix(1)): \(lines[$0].suffix(1))\r\n" }.joined()
                #expect(String(decoding: block.written(), as: UTF8.self) == expected)
            }
        }
    }

    @Test("a head that is used again remembers nothing of the last request")
    func reuse() throws {
        var head = RequestHead()
        let limits = MessageLimits()
        let first = Array("POST /x?y HTTP/1.0\r\nHost: a\r\nCookie: c\r\nContent-Length: 5\r\n\r\n".utf8)
        #expect(try RequestParser.parse(first.span, into: &head, limits: limits) == .complete(first.count))
        let second = Array("GET / HTTP/1.1\r\nHost: b\r\n\r\n".utf8)
        #expect(try RequestParser.parse(second.span, into: &head, limits: limits) == .complete(second.count))
        #expect(head.block.first(.cookie) == nil)
        #expect(head.framing == .none)
        #expect(head.method == .get)
        #expect(head.isPersistent == true)
        #expect(head.query == ByteRange(5, 5))
        #expect(head.block.written() == Array("Host: b\r\n".utf8))
        head.block.release()
        #expect(head.block.first(.host) == nil)
        #expect(head.block.written() == [])
    }

    // MARK: - Parts

    private func isKnown(_ name: String) -> Bool {
        FieldName.allCases.contains { $0.lowercase.description == name }
    }
}

/// Lends the block of a request with a `Host` line and these lines.
func withHead(_ lines: String, _ body: (inout HeaderBlock) -> Void) throws {
    var head = RequestHead()
    let message = Array("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n".utf8)
    let result = try RequestParser.parse(message.span, into: &head, limits: MessageLimits())
    #expect(result == .complete(message.count))
    body(&head.block)
}

/// The names of the lines that stay.
func names(_ block: borrowing HeaderBlock) -> [String] {
    ReadBlock(block).fields.map { String(decoding: $0.name, as: UTF8.self) }
}
