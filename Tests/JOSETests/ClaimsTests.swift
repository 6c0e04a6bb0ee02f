// The claims of a verified token: times, subject, session, scope.

import JOSE
import Primitives
import Testing

@Suite struct ClaimsTests {
    private let forge: TokenForge
    private let now = TokenForge.now.seconds

    init() throws { forge = try TokenForge() }

    @Test("a token is accepted until exp and leeway, and refused at that second")
    func expiry() {
        let token = forge.token(claims: TokenForge.claims(["exp": "\(now)"]))
        #expect(forge.refusal(token, now: WallTime(seconds: now + 29)) == nil)
        #expect(forge.refusal(token, now: WallTime(milliseconds: (now + 30) * 1000 - 1)) == nil)
        #expect(forge.refusal(token, now: WallTime(seconds: now + 30)) == .expired)
    }

    @Test("a token is refused before nbf less leeway, and accepted at that second")
    func notBefore() {
        let token = forge.token(claims: TokenForge.claims(["nbf": "\(now + 100)"]))
        #expect(forge.refusal(token, now: WallTime(seconds: now + 69)) == .notYetValid)
        #expect(forge.refusal(token, now: WallTime(seconds: now + 70)) == nil)
    }

    @Test("iat may lie in the future by the leeway and no more, and may be absent")
    func issuedAt() {
        #expect(forge.refusal(claims: ["iat": "\(now + 30)"]) == nil)
        #expect(forge.refusal(claims: ["iat": "\(now + 31)"]) == .issuedInFuture)
        #expect(forge.refusal(claims: ["iat": nil]) == nil)
    }

    @Test("a remembered token grows old")
    func recheck() throws {
        let token = try #require(forge.accepted(forge.token()))
        #expect(token.refusal(now: WallTime(seconds: now + 929)) == nil)
        #expect(token.refusal(now: WallTime(seconds: now + 930)) == .expired)
        for (leeway, refusal) in [(0, TokenRejection.expired), (Int64.max, nil)] {
            let policy = TokenForge.policy { $0.leewaySeconds = leeway }
            let forge = try TokenForge(policy: policy)
            let token = try #require(forge.accepted(forge.token()))
            #expect(token.refusal(now: WallTime(seconds: now + 900)) == refusal)
        }
    }

    @Test(
        "a date is a finite number of a sane size, with or without a fraction",
        arguments: [
            ("1700000900", true), ("1700000900.75", true), ("1.7000009e9", true), ("17000009e2", true),
            ("253402300799", true), ("253402300800", false), ("1e400", false),
            ("1" + String(repeating: "0", count: 400), false),
            ("18446744073709551616", false), ("18446745773710452516", false), ("9223372036854775807", false),
            ("9223372036854775808", false), ("-1", false), ("-1e400", false), (#""1700000900""#, false),
            ("null", false),
            ("true", false), ("[1700000900]", false), ("{}", false), (#""""#, false),
        ] as [(String, Bool)])
    func dates(_ value: String, _ isAccepted: Bool) {
        #expect(forge.refusal(claims: ["exp": value]) == (isAccepted ? nil : .unfitClaims))
        if !isAccepted {
            #expect(forge.refusal(claims: ["nbf": value]) == .unfitClaims)
            #expect(forge.refusal(claims: ["iat": value]) == .unfitClaims)
        }
    }

    @Test("a token without exp is refused; NaN and Infinity are no JSON")
    func noDate() {
        #expect(forge.refusal(claims: ["exp": nil]) == .unfitClaims)
        for word in ["NaN", "Infinity", "-Infinity", "1.", ".5", "01", "+1", "0x10", "1_0"] {
            #expect(forge.refusal(claims: ["exp": word]) == .malformed)
        }
    }

    @Test(
        "a subject can stand in a header field as it is",
        arguments: [
            (#""a""#, true), (#""user|42@example.org""#, true), (#""J\u00fcrgen M""#, true), (#""""#, false),
            (#""a\r\nX-Auth-Subject: root""#, false), (#""a\u0000""#, false), (#""a\u007f""#, false),
            (#""a\u0085""#, false), (#""a\tb""#, false), (#"" root""#, false), (#""root ""#, false),
            ("7", false),
            ("null", false), (#"["a"]"#, false),
        ] as [(String, Bool)])
    func subjects(_ value: String, _ isAccepted: Bool) {
        #expect(forge.refusal(claims: ["sub": value]) == (isAccepted ? nil : .unfitClaims))
    }

    @Test("a subject has at most 255 bytes, and must be there")
    func subjectLength() {
        #expect(forge.refusal(claims: ["sub": "\"\(String(repeating: "a", count: 255))\""]) == nil)
        #expect(forge.refusal(claims: ["sub": "\"\(String(repeating: "a", count: 256))\""]) == .unfitClaims)
        #expect(
            forge.refusal(claims: ["sub": "\"\(String(repeating: "\u{E9}", count: 128))\""]) == .unfitClaims)
        #expect(forge.refusal(claims: ["sub": nil]) == .unfitClaims)
    }

    @Test(
        "sid, gen and epoch of our own tokens have their form or are absent",
        arguments: [
            ("sid", nil, true), ("sid", #""AAAAAAAAAAAAAAAAAAAAAB""#, false), ("sid", #""AAAA""#, false),
            ("sid", #""""#, false), ("sid", "1", false), ("sid", "null", false), ("gen", nil, true),
            ("gen", "0", true),
            ("gen", "4294967295", true), ("gen", "4294967296", false), ("gen", "-1", false),
            ("gen", "1.5", false),
            ("gen", #""1""#, false), ("gen", "1e400", false), ("epoch", "0", true),
            ("epoch", "9223372036854775807", true),
            ("epoch", "9223372036854775808", false), ("epoch", "1.5", false), ("epoch", #""1""#, false),
        ] as [(String, String?, Bool)])
    func sessionClaims(_ name: String, _ value: String?, _ isAccepted: Bool) {
        #expect(forge.refusal(claims: [name: value]) == (isAccepted ? nil : .unfitClaims))
    }

    @Test("a foreign issuer's sid is passed on as it is, if it can stand in a header; its gen means nothing")
    func foreignSession() throws {
        let policy = TokenForge.policy { $0.hasSessionClaims = false }
        let forge = try TokenForge(policy: policy)
        let claims = TokenForge.claims(["sid": #""0b1c-42""#, "gen": #""x""#])
        let token = try #require(forge.accepted(forge.token(claims: claims)))
        #expect(token.sessionID == nil && token.sessionText == Array("0b1c-42".utf8) && token.generation == 0)
        #expect(forge.refusal(claims: ["sid": #""a\nb""#]) == .unfitClaims)
    }

    @Test("scope is a text of words or an array of texts, and never carries a control character")
    func scopes() throws {
        let cases: [(String, [String]?)] = [
            (#""read  write ""#, ["read", "write"]), (#"["read","not admin"," b",""]"#, ["read"]),
            (#""""#, []),
            ("[]", []), (#""a\r\nX: y""#, nil), (#""a\tb""#, nil), ("1", nil), ("null", nil),
            (#"["a",1]"#, nil),
        ]
        for (value, expected) in cases {
            let token = forge.accepted(forge.token(claims: TokenForge.claims(["scope": value])))
            #expect(token?.scopes == expected)
            let text = expected.map { Array($0.joined(separator: " ").utf8) }
            #expect(token?.scopeText == text)
        }
        #expect(try #require(forge.accepted(forge.token())).scopes.isEmpty)
    }
}
