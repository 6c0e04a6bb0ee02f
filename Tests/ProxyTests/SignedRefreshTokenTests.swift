// What a shard takes for a refresh token where those are signed: its own two kinds, each under its own rules,
// and nothing else that the gateway signs (RFC 8725 §3.12).

import JOSE
import Primitives
import Sessions
import Testing

@testable import Proxy

@Suite("Signed refresh tokens at a shard") struct SignedRefreshTokenTests {
    private static let opaque = "rt_" + String(repeating: "A", count: 92)
    private let now = WallTime(seconds: 1_700_000_000)
    private let key: SigningKey
    private let gatekeeper: Gatekeeper

    init() throws {
        key = try SigningKey.generate(.es256)
        var policy = ClaimsPolicy(issuer: "https://issuer.test", audiences: ["api"])
        policy.useExpiryClaim = "useExp"
        policy.twofoldClaim = TokenStyle.refreshClaim
        policy.useSecondsMax = 900
        let own = TrustedIssuer(policy: policy, keys: try KeySet(keys: [key.verificationKey]))
        gatekeeper = try Gatekeeper([own], sessionLifetimeSeconds: 86_400)
    }

    private func token(
        _ type: String, audience: String, refresh: String? = opaque, endsIn seconds: Int64 = 86_000,
        more: String = ""
    ) throws -> [UInt8] {
        let carried = refresh.map { #","rt":"\#($0)""# } ?? ""
        let claims =
            #"{"iss":"https://issuer.test","aud":"\#(audience)","sub":"alice","iat":\#(now.seconds),"#
            + #""sid":"AAAAAAAAAAAAAAAAAAAAAA","exp":\#(now.seconds + seconds)\#(carried)\#(more)}"#
        return try TokenSigner(key: key).sign(payload: Array(claims.utf8), type: type)
    }

    private func unwrapped(_ token: [UInt8], later seconds: Int64 = 0) -> String? {
        gatekeeper.refreshToken(in: token.span, now: now.advanced(byMilliseconds: seconds * 1000)).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private func refusal(_ token: [UInt8], later seconds: Int64 = 0) -> TokenRejection? {
        var memo = TokenMemo()
        let time = now.advanced(byMilliseconds: seconds * 1000)
        guard case .refused(let refusal) = gatekeeper.check(token.span, memo: &memo, now: time) else {
            return nil
        }
        return refusal
    }

    @Test("each kind is taken with its own type and audience, and not with the other's")
    func kinds() throws {
        #expect(try unwrapped(token("rt+jwt", audience: "https://issuer.test")) == Self.opaque)
        #expect(try unwrapped(token("at+jwt", audience: "api")) == Self.opaque)
        #expect(try unwrapped(token("rt+jwt", audience: "api")) == nil)
        #expect(try unwrapped(token("at+jwt", audience: "https://issuer.test")) == nil)
        #expect(try unwrapped(token("jwt", audience: "https://issuer.test")) == nil)
        #expect(try unwrapped(token("at+jwt", audience: "api", refresh: nil)) == nil)
        #expect(unwrapped([]) == nil)
    }

    @Test("a refresh token lets no request in, and ends with its expiry and the leeway")
    func refreshToken() throws {
        let token = try token("rt+jwt", audience: "https://issuer.test")
        #expect(refusal(token) != nil)
        #expect(unwrapped(token, later: 86_029) != nil && unwrapped(token, later: 86_030) == nil)
    }

    @Test("a single token lets requests in until its second expiry, and is exchanged until its first")
    func single() throws {
        let token = try token("at+jwt", audience: "api", more: #","useExp":\#(now.seconds + 600)"#)
        #expect(refusal(token, later: 629) == nil && refusal(token, later: 630) == .expired)
        #expect(unwrapped(token, later: 86_029) == Self.opaque && unwrapped(token, later: 86_030) == nil)
    }

    @Test("a single token whose second expiry has another name is exchanged, and lets no request in")
    func renamed() throws {
        let token = try token("at+jwt", audience: "api", more: #","goodUntil":\#(now.seconds + 600)"#)
        #expect(refusal(token) == .expired && unwrapped(token) == Self.opaque)
        // An access token of before has no second expiry, and needs none.
        let plain = try self.token("at+jwt", audience: "api", refresh: nil, endsIn: 600)
        #expect(refusal(plain, later: 629) == nil && refusal(plain, later: 630) == .expired)
    }

    @Test("no token is used for longer than the lifetime of today: revocations are not remembered for longer")
    func shorterLifetime() throws {
        let plain = try token("at+jwt", audience: "api", refresh: nil)
        #expect(refusal(plain, later: 929) == nil && refusal(plain, later: 930) == .expired)
        let single = try token("at+jwt", audience: "api", more: #","useExp":\#(now.seconds + 9000)"#)
        #expect(refusal(single, later: 929) == nil && refusal(single, later: 930) == .expired)
        #expect(unwrapped(single, later: 930) == Self.opaque)
    }
}
