// Each refusal of a token, beside the nearest token that is accepted.

import Crypto
import JOSE
import Primitives
import Support
import Testing

@Suite struct TokenVerifierTests {
    private let forge: TokenForge

    init() throws { forge = try TokenForge() }

    @Test("a claim is found by the names that lead to it, dots and all")
    func claimPaths() throws {
        let claims = TokenForge.claims(["realm": #"{"roles":["a"],"x.y":7}"#, "realm.roles": #""flat""#])
        let token = try #require(forge.accepted(forge.token(claims: claims)))
        #expect(token.claim(at: ["realm", "roles"])?.elements.first?.string == "a")
        #expect(token.claim(at: ["realm", "x.y"])?.integer == 7)
        #expect(token.claim(at: ["realm.roles"])?.string == "flat")
        #expect(token.claim(at: ["sub"])?.string == "alice")
        for names in [
            ["realm", "x"], ["realm", "x", "y"], ["roles"], ["sub", "roles"], ["realm", "roles", "0"],
        ] {
            #expect(token.claim(at: names) == nil)
        }
    }

    @Test("a good token is accepted and read")
    func good() throws {
        let claims = TokenForge.claims(["scope": #""read write""#, "epoch": "12", "nbf": "1699999990"])
        let token = try #require(forge.accepted(forge.token(claims: claims)))
        #expect(token.subject == "alice" && token.subjectBytes == Array("alice".utf8))
        #expect(token.sessionID == SessionID(text: TokenForge.sid))
        #expect(token.sessionText == Array(TokenForge.sid.utf8))
        #expect(token.generation == 3 && token.epoch == 12 && token.key == forge.keys.keys[0].identity)
        #expect(token.scopes == ["read", "write"] && token.scopeText == Array("read write".utf8))
        #expect(token.issuedAt == 1_700_000_000 && token.expiresAt == 1_700_000_900)
        #expect(token.notBefore == 1_699_999_990)
        #expect(token.claim("jti")?.string == "t1" && token.claim("nobody") == nil)
    }

    @Test("the longest token allowed is accepted, one byte more is too large")
    func size() throws {
        let token = forge.token()
        for (limit, expected) in [(token.count, nil), (token.count - 1, TokenRejection.tooLarge)] {
            let policy = TokenForge.policy { $0.tokenBytesMax = limit }
            let verifier = try TokenVerifier(keys: forge.keys, policy: policy)
            guard case .refused(let reason) = verifier.verify(token.span, now: TokenForge.now) else {
                #expect(expected == nil)
                continue
            }
            #expect(reason == expected)
        }
    }

    @Test(
        "typ at+jwt is required, in any case and with application/",
        arguments: [
            (#""at+jwt""#, nil), (#""AT+JWT""#, nil), (#""application/at+jwt""#, nil),
            (#""Application/AT+jwt""#, nil),
            (#""JWT""#, .wrongType), (#""at+jwt ""#, .wrongType), (#""rt+jwt""#, .wrongType),
            (#""""#, .wrongType),
            (#""application/application/at+jwt""#, .wrongType), ("null", .malformed),
            (#"["at+jwt"]"#, .malformed),
        ] as [(String, TokenRejection?)])
    func type(_ type: String, _ expected: TokenRejection?) {
        let token = forge.token(header: #"{"alg":"ES256","kid":"ec","typ":\#(type)}"#)
        #expect(forge.refusal(token) == expected)
    }

    @Test("a header without typ is refused, and one without alg")
    func absentMembers() {
        #expect(forge.refusal(forge.token(header: #"{"alg":"ES256","kid":"ec"}"#)) == .wrongType)
        #expect(forge.refusal(forge.token(header: #"{"typ":"at+jwt","kid":"ec"}"#)) == .malformed)
        #expect(forge.refusal(forge.token(header: #"["alg"]"#)) == .malformed)
    }

    @Test("the key is found by its exact kid; without one only where there is no choice")
    func keyChoice() throws {
        #expect(forge.refusal(forge.token()) == nil)
        for kid in [#""EC""#, #""ec ""#, #""""#, #""../ec""#, #""\u0000ec""#] {
            let token = forge.token(header: #"{"alg":"ES256","typ":"at+jwt","kid":\#(kid)}"#)
            #expect(forge.refusal(token) == .unknownKey)
        }
        for kid in ["1", "null", #"["ec"]"#] {
            let token = forge.token(header: #"{"alg":"ES256","typ":"at+jwt","kid":\#(kid)}"#)
            #expect(forge.refusal(token) == .malformed)
        }
        let other = try JSONWebKey(
            PrivateKey.generate().publicParameters, algorithm: .es256, kid: "other")
        for (keys, isKnown) in [(forge.keys.keys, true), (forge.keys.keys + [other], false)] {
            let verifier = try TokenVerifier(keys: KeySet(keys: keys), policy: TokenForge.policy())
            let token = forge.token(header: #"{"alg":"ES256","typ":"at+jwt"}"#)
            switch verifier.verify(token.span, now: TokenForge.now) {
            case .accepted: #expect(isKnown)
            case .refused(let reason): #expect(!isKnown && reason == .unknownKey)
            case .undecided: Issue.record("a set of keys that is not fetched")
            }
        }
    }

    @Test("a key without a name answers to every name that no other key has, and to none")
    func namelessKey() throws {
        let nameless = try JSONWebKey(forge.privateKey.publicParameters, algorithm: .es256, kid: nil)
        let named = try JSONWebKey(PrivateKey.generate().publicParameters, algorithm: .es256, kid: "named")
        let verifier = try TokenVerifier(keys: KeySet(keys: [named, nameless]), policy: TokenForge.policy())
        for (kid, isGood) in [(#","kid":"any""#, true), ("", true), (#","kid":"named""#, false)] {
            let token = forge.token(header: #"{"alg":"ES256","typ":"at+jwt"\#(kid)}"#)
            switch verifier.verify(token.span, now: TokenForge.now) {
            case .accepted: #expect(isGood)
            case .refused(let reason): #expect(!isGood && reason == .wrongSignature)
            case .undecided: Issue.record("a set of keys that is not fetched")
            }
        }
    }

    @Test("an HS256 token is accepted under its secret, and refused under the name of the public key")
    func symmetric() {
        let good = forge.taggedToken(header: #"{"alg":"HS256","typ":"at+jwt","kid":"mac"}"#)
        #expect(forge.refusal(good) == nil)
        let confused = forge.taggedToken(header: #"{"alg":"HS256","typ":"at+jwt","kid":"ec"}"#)
        #expect(forge.refusal(confused) == .wrongAlgorithm)
        let other = forge.taggedToken(header: #"{"alg":"HS384","typ":"at+jwt","kid":"mac"}"#)
        #expect(forge.refusal(other) == .wrongAlgorithm)
    }

    @Test(
        "the issuer is compared byte by byte",
        arguments: [
            (#""https://issuer.test""#, nil), (#""https:\/\/issuer.test""#, nil),
            (#""https://issuer.test/""#, .wrongIssuer), (#""https://Issuer.test""#, .wrongIssuer),
            (#""""#, .wrongIssuer), (nil, .unfitClaims), ("1", .unfitClaims),
            (#"["https://issuer.test"]"#, .unfitClaims),
        ] as [(String?, TokenRejection?)])
    func issuer(_ value: String?, _ expected: TokenRejection?) {
        #expect(forge.refusal(claims: ["iss": value]) == expected)
    }

    @Test(
        "we must stand in the audience, alone or among others",
        arguments: [
            (#""api""#, nil), (#""other""#, nil), (#"["x","api"]"#, nil), (#""API""#, .wrongAudience),
            (#""apiary""#, .wrongAudience), ("[]", .wrongAudience), (#"["x"]"#, .wrongAudience),
            (nil, .unfitClaims),
            (#"["api",1]"#, .unfitClaims), ("null", .unfitClaims), (#"{"api":true}"#, .unfitClaims),
        ] as [(String?, TokenRejection?)])
    func audience(_ value: String?, _ expected: TokenRejection?) {
        #expect(forge.refusal(claims: ["aud": value]) == expected)
    }

    @Test("a composed and a decomposed audience are two audiences")
    func canonicalEquivalence() throws {
        let forge = try TokenForge(
            policy: ClaimsPolicy(issuer: "https://issuer.test", audiences: ["caf\u{E9}"]))
        #expect(forge.refusal(claims: ["aud": #""caf\u00e9""#]) == nil)
        #expect(forge.refusal(claims: ["aud": #""cafe\u0301""#]) == .wrongAudience)
    }

    @Test("a policy without issuer, audience or type, or with a negative leeway, is refused")
    func incompletePolicy() {
        let policies = [
            ClaimsPolicy(issuer: "", audiences: ["api"]), ClaimsPolicy(issuer: "i", audiences: []),
            ClaimsPolicy(issuer: "i", audiences: ["api", ""]),
            TokenForge.policy { $0.types = [] }, TokenForge.policy { $0.leewaySeconds = -1 },
            TokenForge.policy { $0.subjectPath = [] },
        ]
        for policy in policies {
            #expect(throws: JOSEError.incompletePolicy) {
                try TokenVerifier(keys: forge.keys, policy: policy)
            }
        }
        #expect(throws: Never.self) {
            try TokenVerifier(keys: forge.keys, policy: ClaimsPolicy(issuer: "i", audiences: ["api"]))
        }
    }

    @Test("a changed byte anywhere in a token never verifies")
    func flippedBits() {
        let token = forge.token()
        var generator = SeededGenerator(seed: 20_261_121)
        for index in token.indices {
            var changed = token
            changed[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            #expect(forge.refusal(changed) != nil, "byte \(index)")
        }
        #expect(forge.refusal(token) == nil)
    }

    @Test("a token that is cut anywhere, or has one more byte, never verifies")
    func cut() {
        let token = forge.token()
        for count in 0..<token.count {
            #expect(forge.refusal(Array(token.prefix(count))) != nil, "\(count) bytes")
        }
        for extra in [".", "=", " ", "\n", "A", ".e30", "\0"] {
            #expect(forge.refusal(token + Array(extra.utf8)) != nil)
            #expect(forge.refusal(Array(extra.utf8) + token) != nil)
        }
    }

    @Test("random bytes are refused and do no harm")
    func noise() {
        var generator = SeededGenerator(seed: 7)
        let alphabet = Array("eyJhbGci.-_=AQ \0{}\"".utf8)
        for _ in 0..<2000 {
            let count = Int.random(in: 0..<200, using: &generator)
            let noise = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            #expect(forge.refusal(noise) != nil)
        }
    }

    @Test("every refusal has a code of its own and a sentence without quotes, backslashes or a full stop")
    func explanations() {
        #expect(Set(TokenRejection.allCases.map(\.code)).count == TokenRejection.allCases.count)
        for rejection in TokenRejection.allCases {
            let text = rejection.explanation.description
            #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") })
            #expect(!text.isEmpty && !text.contains("\\") && !text.hasSuffix("."))
        }
    }
}
