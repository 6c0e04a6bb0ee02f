// What an `exchange token` block asks of a token, and which room claims have in each style of tokens.

import Configuration
import Crypto
import JOSE
import Primitives
import Testing

@testable import Proxy

@Suite("Exchange of older tokens") struct ExchangeTargetTests {
    private static let secret = "a secret of the system that was there before"
    private let now = WallTime(seconds: 1_800_000_000)

    private func target(_ change: (inout LegacyTokenConfiguration) -> Void = { _ in }) throws
        -> ExchangeTarget
    {
        var token = LegacyTokenConfiguration()
        token.keys.secrets = [SharedSecret(algorithm: "HS256", secret: SecretText(Self.secret))]
        change(&token)
        let configuration = ExchangeConfiguration(
            until: now.seconds, kind: .token(token), place: "gateway.conf:1")
        return try ExchangeTarget(configuration, tokenBytesMax: 8192)
    }

    /// Whom the token is about; nil where it is refused.
    private func subject(
        _ claims: String, type: String? = "JWT", _ change: (inout LegacyTokenConfiguration) -> Void = { _ in }
    ) throws -> String? {
        let trusted = try #require(try target(change).trusted)
        let verifier = try TokenVerifier(keys: trusted.keys, policy: trusted.policy)
        let header = #"{"alg":"HS256""# + (type.map { #","typ":"\#($0)""# } ?? "") + "}"
        let text = Base64URL.encode(header.utf8.span) + [0x2E] + Base64URL.encode(claims.utf8.span)
        let secret = Array(Self.secret.utf8)
        let tag = HMACSHA256(key: secret.span).authenticate(text.span).bytes
        let token = text + [0x2E] + Base64URL.encode(tag.span)
        guard case .accepted(let verified) = verifier.verify(token.span, now: now) else { return nil }
        return verified.subject
    }

    private func claims(_ more: String = #""sub":"alice""#, endsIn seconds: Int64 = 60) -> String {
        #"{"exp":\#(now.seconds + seconds),\#(more)}"#
    }

    @Test("without more said, any issuer and audience are taken, and none; types are those of common tokens")
    func lenient() throws {
        #expect(try subject(claims()) == "alice")
        #expect(try subject(claims(#""sub":"alice","iss":"x","aud":["y","z"]"#)) == "alice")
        for type in [nil, "at+jwt", "application/jwt"] {
            #expect(try subject(claims(), type: type) == "alice")
        }
        for type in ["rt+jwt", "dpop+jwt", "logout+jwt"] { #expect(try subject(claims(), type: type) == nil) }
        #expect(try subject(claims(), type: "dpop+jwt") { $0.types = ["dpop+jwt"] } == "alice")
        #expect(try subject(claims()) { $0.types = ["none"] } == nil)
        #expect(try subject(claims(), type: nil) { $0.types = ["none"] } == "alice")
    }

    @Test("what is said of issuer and audience is asked for")
    func strict() throws {
        func judged(_ more: String) throws -> String? {
            try subject(claims(#""sub":"alice""# + more)) {
                $0.issuer = "old"
                $0.audiences = ["shop"]
            }
        }
        #expect(try judged(#","iss":"old","aud":"shop""#) == "alice")
        for more in ["", #","iss":"old""#, #","aud":"shop""#, #","iss":"Old","aud":"shop""#] {
            #expect(try judged(more) == nil)
        }
    }

    @Test("a token that has expired is taken as long as `expired` says, and not a second longer")
    func expired() throws {
        func ended(_ ago: Int64) throws -> String? {
            try subject(claims(endsIn: -ago)) {
                $0.leewayMilliseconds = 30_000
                $0.expiredMilliseconds = 600_000
            }
        }
        #expect(try ended(629) == "alice" && ended(630) == nil)
        #expect(try subject(claims(endsIn: -30)) == nil)
        #expect(try subject(#"{"sub":"alice"}"#) == nil)
    }

    @Test("whom it is about may be a whole number, and stand further inwards")
    func subjects() throws {
        #expect(try subject(claims(#""sub":42"#)) == "42")
        #expect(
            try subject(claims(#""user":{"id":7}"#)) { $0.subjectClaim = ClaimPath(["user", "id"]) } == "7")
        for wrong in ["1.5", "true", "null", "[1]", "{}", #""""#, #"" a""#] {
            #expect(try subject(claims(#""sub":\#(wrong)"#)) == nil)
        }
    }

    @Test("the day that was given is the last")
    func lastDay() throws {
        #expect(try !target().isOver(at: now.advanced(byMilliseconds: -1)))
        #expect(try target().isOver(at: now))
    }

    // MARK: - Room

    private func token(_ claim: String?) -> AccessTokenConfiguration {
        var token = AccessTokenConfiguration()
        token.issuer = "https://gateway.test"
        token.useExpiry = claim.map { UseExpiry(claim: $0, lifetimeMilliseconds: 60_000) }
        return token
    }

    @Test("a single token leaves as much less room as it carries more")
    func room() {
        let pair = ClaimsRoom(token(nil), signatureOverhead: 0)
        let single = ClaimsRoom(token("useExp"), signatureOverhead: 0)
        // `"rt":"…",` with 95 letters, and `"useExp":1800000000,`.
        let carried = #""rt":"","#.utf8.count + 95 + #""useExp":1800000000,"#.utf8.count
        #expect(pair.bytes - single.bytes >= carried && pair.bytes - single.bytes <= carried + 10)
        #expect(ClaimsRoom(token(nil), signatureOverhead: 100).bytes == pair.bytes - 100)
    }

    @Test("claims that the gateway writes itself are refused, in every style those of its own names")
    func reserved() {
        func isTaken(_ claims: String, _ name: String?) -> Bool {
            let room = ClaimsRoom(token(name), signatureOverhead: 0)
            guard case .success = SessionClaims.check(Array(claims.utf8), subject: "alice", room) else {
                return false
            }
            return true
        }
        for name in [nil, "useExp", "goodUntil"] {
            #expect(!isTaken(#"{"rt":"x"}"#, name) && !isTaken(#"{"exp":1}"#, name))
            #expect(isTaken(#"{"role":"x"}"#, name))
        }
        #expect(!isTaken(#"{"useExp":1}"#, "useExp"))
        #expect(isTaken(#"{"useExp":1}"#, "goodUntil") && isTaken(#"{"useExp":1}"#, nil))
    }
}
