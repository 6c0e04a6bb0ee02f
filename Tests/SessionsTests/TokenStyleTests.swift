// What the tokens of each style say, and until when.

import JOSE
import Primitives
import Testing

@testable import Sessions

@Suite("Styles of tokens") struct TokenStyleTests {
    private static let minute: Int64 = 60_000
    private static let twofold = TokenStyle.single(claim: "useExp", useLifetime: 10 * minute)

    private func claims(_ token: VerifiedToken) -> [String: String] {
        var found: [String: String] = [:]
        for member in token.claims.root.members {
            found[member.name] = String(decoding: Array(member.value.text), as: UTF8.self)
        }
        return found
    }

    @Test("a signed refresh token is a JWT of its own type, for the gateway itself, around the opaque one")
    func signed() throws {
        let gateway = try ServiceHarness(policy: ServiceHarness.policy(.signedRefresh))
        let tokens = try gateway.login()
        let parts = tokens.refreshToken.split(separator: ".")
        let encoded = Array(parts[0].utf8)
        let header = Base64URL.decode(encoded.span) ?? []
        #expect(String(decoding: header, as: UTF8.self).contains(#""typ":"rt+jwt""#))
        let token = try #require(try gateway.carrier(tokens.refreshToken))
        let (now, day) = (Samples.start.seconds, Samples.day / 1000)
        let claims = claims(token)
        #expect(Set(claims.keys) == ["iss", "sub", "aud", "iat", "exp", "sid", "rt"])
        #expect(claims["iss"] == #""https://gateway.test""# && claims["aud"] == claims["iss"])
        #expect(claims["iat"] == "\(now)" && claims["exp"] == "\(now + 7 * day)")
        #expect(token.sessionID == tokens.sid && token.subject == "alice")
        let opaque = try #require(try gateway.unwrapped(tokens.refreshToken))
        #expect(opaque.hasPrefix("rt_"))
        #expect(tokens.refreshSeconds == 7 * day && tokens.accessSeconds == 900)
        // Neither passes for the other.
        #expect(try gateway.carrier(String(decoding: tokens.accessToken, as: UTF8.self)) == nil)
        #expect(try gateway.verify(tokens)?.claim(TokenStyle.refreshClaim) == nil)
    }

    @Test("a single token says both expiries and carries the opaque refresh token")
    func single() throws {
        let gateway = try ServiceHarness(policy: ServiceHarness.policy(Self.twofold))
        let tokens = try gateway.login()
        #expect(tokens.refreshToken.isEmpty)
        let token = try #require(try gateway.verify(tokens))
        let (now, week) = (Samples.start.seconds, 7 * Samples.day / 1000)
        #expect(claims(token)["useExp"] == "\(now + 600)" && claims(token)["exp"] == "\(now + week)")
        #expect(tokens.accessSeconds == 600 && tokens.refreshSeconds == week)
        gateway.clock.advance(11 * Self.minute)
        #expect(try gateway.verify(tokens) == nil)
        let opaque = try #require(try gateway.unwrapped(tokens.refreshText))
        let second = try gateway.refreshed(opaque)
        #expect(try gateway.isLetIn(second) && second.sid == tokens.sid)
    }

    @Test(
        "no token outlives its session, in any style",
        arguments: [TokenStyle.opaqueRefresh, .signedRefresh, twofold])
    func finalDeadline(_ style: TokenStyle) throws {
        var policy = ServiceHarness.policy(style)
        policy.maxLifetime = 5 * Self.minute
        let gateway = try ServiceHarness(policy: policy)
        let tokens = try gateway.login()
        #expect(tokens.accessSeconds == 300 && tokens.refreshSeconds == 300)
        #expect(try gateway.verify(tokens)?.expiresAt == Samples.start.seconds + 300)
        // As the session's end comes near, the next ones live shorter.
        gateway.clock.advance(4 * Self.minute)
        let opaque = try #require(try gateway.unwrapped(tokens.refreshText))
        let last = try gateway.refreshed(opaque)
        #expect(last.accessSeconds == 60 && last.refreshSeconds == 60)
    }

    @Test("a single token ends with the idle lifetime, and says no more of its use than is true")
    func idleDeadline() throws {
        var policy = ServiceHarness.policy(Self.twofold)
        policy.idleLifetime = 5 * Self.minute
        let gateway = try ServiceHarness(policy: policy)
        let tokens = try gateway.login()
        #expect(tokens.accessSeconds == 300 && tokens.refreshSeconds == 300)
        let token = try #require(try gateway.verify(tokens))
        #expect(claims(token)["useExp"] == claims(token)["exp"])
    }

    @Test("a JWT refresh token is known by its look, whatever has signed it, and an access token is not")
    func shape() {
        for algorithm in SignatureAlgorithm.allCases {
            for kid in ["", "a", "2026-11"] {
                func head(_ type: String) -> [UInt8] {
                    TokenSigner.head(algorithm: algorithm, kid: kid, type: type) + Array("e30.c2ln".utf8)
                }
                #expect(look(head(TokenStyle.refreshType)))
                #expect(!look(head("at+jwt")) && !look(head("jwt")))
                #expect(!look(Array(head(TokenStyle.refreshType).prefix(38))))
            }
        }
        #expect(!look([]))
    }

    private func look(_ text: [UInt8]) -> Bool { SignedRefreshToken.looksLikeToken(text.span) }
}
