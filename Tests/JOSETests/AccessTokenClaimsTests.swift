// The gateway's own tokens: signed, read back, and what a session may add to them.

import Crypto
import JOSE
import Primitives
import Testing

@Suite struct AccessTokenClaimsTests {
    private func claims(session text: String = "", audiences: [String] = ["api"]) throws -> AccessTokenClaims
    {
        AccessTokenClaims(
            issuer: "https://gateway.test", subject: "al\"ice", audiences: audiences, issuedAt: 1000,
            expiresAt: 1900,
            tokenID: "t-1", sessionID: try #require(SessionID(text: TokenForge.sid)),
            generation: 4_294_967_295,
            epoch: 9, sessionClaims: Array(text.utf8))
    }

    private func policy(_ audiences: [String] = ["api"]) -> ClaimsPolicy {
        ClaimsPolicy(issuer: "https://gateway.test", audiences: audiences)
    }

    @Test("a signed token is accepted by the gateway's own verifier, with everything in it")
    func roundTrip() throws {
        let key = try SigningKey.generate(.es256)
        let copy = try SigningKey(.es256, file: key.fileText, kid: nil)
        #expect(copy.kid == key.kid && copy.kid.utf8.count == 43 && copy.verificationKey.kid == key.kid)
        let payload = try claims(session: #"{"scope":"read write","role":{"admin":true}}"#).payload()
        let token = try TokenSigner(key: copy).sign(payload: payload)
        let keys = try KeySet(keys: [key.verificationKey])
        let verifier = try TokenVerifier(keys: keys, policy: policy())
        guard case .accepted(let verified) = verifier.verify(token.span, now: WallTime(seconds: 1000)) else {
            Issue.record("the gateway refuses its own token")
            return
        }
        #expect(verified.subject == "al\"ice" && verified.generation == .max && verified.epoch == 9)
        #expect(verified.sessionID?.text == TokenForge.sid && verified.scopes == ["read", "write"])
        #expect(verified.claim("role")?["admin"]?.boolean == true)
        #expect(
            verified.claim("client_id")?.string == "auth-gateway" && verified.claim("jti")?.string == "t-1")
        let header = try #require(decodedHeader(token))
        #expect(header == #"{"alg":"ES256","typ":"at+jwt","kid":"\#(key.kid)"}"#)
    }

    @Test("a key signs what another does not verify")
    func otherKey() throws {
        let token = try TokenSigner(key: SigningKey.generate(.es256)).sign(payload: claims().payload())
        let keys = try KeySet(keys: [SigningKey.generate(.es256).verificationKey])
        let verifier = try TokenVerifier(keys: keys, policy: policy())
        guard case .refused(.unknownKey) = verifier.verify(token.span, now: WallTime(seconds: 1000)) else {
            Issue.record("a foreign key's token")
            return
        }
    }

    @Test("one audience is a string, several are an array")
    func audiences() throws {
        let one = try JSONDocument(parsing: claims().payload()).root
        #expect(one["aud"]?.string == "api")
        let several = try JSONDocument(parsing: claims(audiences: ["a", "b"]).payload()).root
        #expect(several["aud"]?.elements.compactMap(\.string) == ["a", "b"])
    }

    @Test("a session without claims adds nothing", arguments: ["", "{}", " { } ", "{\n}"])
    func nothingToAdd(_ text: String) throws {
        let payload = try claims(session: text).payload()
        #expect(payload == (try claims().payload()))
        #expect(throws: Never.self) { try JSONDocument(parsing: payload) }
    }

    @Test(
        "names that the gateway writes are refused in a session's claims, also behind an escape",
        arguments: [
            "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "gen", "epoch", "client_id", "typ",
            "\\u0073ub",
        ])
    func reservedNames(_ name: String) throws {
        let document = try JSONDocument(parsing: Array(#"{"a":1,"\#(name)":1}"#.utf8))
        let error = #expect(throws: JOSEError.self) { try AccessTokenClaims.validateSessionClaims(document) }
        guard case .unfitSessionClaims(.reservedName) = error else {
            Issue.record("\(name) is reserved")
            return
        }
        let nested = try JSONDocument(parsing: Array(#"{"a":{"\#(name)":1}}"#.utf8))
        #expect(throws: Never.self) { try AccessTokenClaims.validateSessionClaims(nested) }
    }

    @Test("a session's claims are an object with a scope that can stand in a header")
    func shape() throws {
        for text in ["[]", "null", "7", #""a""#] {
            let document = try JSONDocument(parsing: Array(text.utf8))
            #expect(throws: JOSEError.unfitSessionClaims(.notAnObject)) {
                try AccessTokenClaims.validateSessionClaims(document)
            }
        }
        for (scope, isFit) in [(#""a b""#, true), (#""a\nb""#, false), ("7", false), (#"["a"]"#, false)] {
            let document = try JSONDocument(parsing: Array(#"{"scope":\#(scope)}"#.utf8))
            let result = try? AccessTokenClaims.validateSessionClaims(document)
            #expect((result != nil) == isFit)
        }
    }

    @Test("white space between tokens is dropped and does not count; strings keep theirs")
    func compactText() throws {
        let document = try JSONDocument(
            parsing: Array(" { \"a b\" : [ 1 ,\n2 ] ,\t\"c\\\" \" : \" x \" } ".utf8))
        let text = try AccessTokenClaims.validateSessionClaims(document)
        #expect(String(decoding: text, as: UTF8.self) == #"{"a b":[1,2],"c\" ":" x "}"#)
        let longest = String(repeating: "x", count: 3072 - #"{"a":""}"#.utf8.count)
        let fits = try JSONDocument(parsing: Array("{ \"a\" : \"\(longest)\" }".utf8))
        #expect(try AccessTokenClaims.validateSessionClaims(fits).count == 3072)
        let tooLong = try JSONDocument(parsing: Array("{\"a\":\"\(longest)x\"}".utf8))
        #expect(throws: JOSEError.unfitSessionClaims(.tooLarge(bytesMax: 3072))) {
            try AccessTokenClaims.validateSessionClaims(tooLong)
        }
    }

    private func decodedHeader(_ token: [UInt8]) -> String? {
        let header = Array(token.prefix { $0 != UInt8(ascii: ".") })
        return Base64URL.decode(header.span).map { String(decoding: $0, as: UTF8.self) }
    }
}
